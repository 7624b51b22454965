/** The weights and input that tests/data/logits were computed with. */
export {
  seededInput as referenceInput,
  seededTensor as referenceTensor,
  seededWeights as referenceSafetensors,
  uniform,
} from '../bindings/weights/random.js';
