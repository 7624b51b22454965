/** What a picture tells beside its classes: embeddings, feature maps, class activation maps, its tensor. */

import { ResnetError } from '../../models/errors.js';
import { closest, FEATURES, graphOutput, type Shape } from '../../models/index.js';
import type { PlanValue } from '../compile/plan.js';
import type { Crop } from '../image/preprocess.js';
import { camStep } from './cam.js';
import { checkClasses, checkOptions, checkTexts, checkTopK } from './options.js';
import type { Images, Runner } from './runner.js';
import type {
  AnalyseOptions,
  Analysis,
  CallOptions,
  Cam,
  Classification,
  EmbedOptions,
  FeatureMap,
  ImageSource,
  Tensor,
} from './types.js';

/** As `Model.embed`. */
export async function embed(
  runner: Runner,
  images: Images,
  { normalise = false, signal }: EmbedOptions,
): Promise<Float32Array | Float32Array[]> {
  const features = featuresOf(runner);
  return runner.each(images, { values: [features], isPartial: true }, signal, ({ values: [values] }) =>
    normalise ? unit(values as Float32Array) : (values as Float32Array),
  );
}

/** As `Model.featureMap`. */
export async function featureMap(
  runner: Runner,
  image: ImageSource,
  layer: string,
  { signal }: CallOptions,
): Promise<FeatureMap> {
  const value = layerValue(runner, layer);
  return runner.each(image, { values: [value], isPartial: true }, signal, ({ values: [data] }, crop) =>
    featureMapOf(value, data as Float32Array, crop),
  );
}

/** As `Model.preprocess`. */
export async function preprocess(runner: Runner, image: ImageSource, { signal }: CallOptions): Promise<Tensor> {
  const { plan } = runner.executor;
  const [{ node, view }] = plan.inputs;
  const { h, w, c } = view.shape;
  const input = plan.values.find((value) => value.node.id === node) as PlanValue;
  return runner.each(image, { values: [input], isPartial: true }, signal, ({ values: [data] }) => ({
    data: data as Float32Array,
    shape: [1, h, w, c],
    layout: 'NHWC',
  }));
}

/** As `Model.analyse`. */
export async function analyse(runner: Runner, image: ImageSource, options: AnalyseOptions): Promise<Analysis> {
  const { topK = 5, cam = false, layers = [], embedding = false, signal } = options;
  checkTopK(topK);
  checkTexts('layers', layers);
  if (typeof cam !== 'boolean') checkOptions('cam', cam, ['classes']);
  runner.checkClassifier();
  const { plan } = runner.executor;
  const wanted = layers.map((layer) => layerValue(runner, layer));
  const classes = typeof cam === 'object' ? cam.classes : undefined;
  checkClasses(classes, plan.outputs[0].view.shape.c);
  const extra = cam ? camStep(plan) : undefined;
  const values = embedding ? [...wanted, featuresOf(runner)] : wanted;
  return runner.each(image, { values, extra }, signal, (result, crop) => {
    const [output] = result.outputs as [Float32Array];
    const best = runner.classes(output, topK);
    const chosen = classes ? runner.classes(output, classes) : best;
    return {
      classes: best,
      cam: extra && camOf(chosen, extra.step.output.shape, result.extra as Float32Array, crop),
      layers: wanted.map((value, i) => featureMapOf(value, result.values[i] as Float32Array, crop)),
      embedding: embedding ? result.values.at(-1) : undefined,
    };
  });
}

/** The value of a layer. */
function layerValue({ name, executor }: Runner, layer: string): PlanValue {
  const { graph, values } = executor.plan;
  const names = graph.nodes.map((node) => node.name);
  const value = values[names.indexOf(layer)];
  if (value) return value;
  const near = closest(names, String(layer));
  throw new ResnetError(
    'argument',
    `layer: expected the name of a node of ${name}, got ${String(layer)}; the closest is ${near}.`,
  );
}

/** What the classifier reads. */
function featuresOf({ name, executor }: Runner): PlanValue {
  const { graph, values } = executor.plan;
  const end = graphOutput(graph);
  if (graph.outputs[0].name === FEATURES) return values[end.id] as PlanValue;
  const linear = end.kind === 'softmax' ? graph.nodes[end.inputs[0] ?? -1] : end;
  const features = linear?.kind === 'linear' ? values[linear.inputs[0] ?? -1] : undefined;
  if (features) return features;
  throw new ResnetError('argument', `${name}: expected to end in a linear layer for embeddings, got ${end.kind}.`);
}

function featureMapOf({ node, view }: PlanValue, data: Float32Array, crop: Crop): FeatureMap {
  const { h, w, c } = view.shape;
  return { layer: node.name, data, shape: [h, w, c], crop };
}

/** A vector over its Euclidean norm; zeros stay zeros. */
function unit(values: Float32Array): Float32Array {
  const norm = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  return norm > 0 ? values.map((v) => v / norm) : values;
}

/** The maps of some classes out of [h, w, classes]. */
function camOf(chosen: readonly Classification[], { h, w, c }: Shape, evidence: Float32Array, crop: Crop): Cam {
  const mapOf = (index: number) => Float32Array.from({ length: h * w }, (_, i) => evidence[i * c + index] as number);
  return { maps: chosen.map((found) => ({ ...found, data: mapOf(found.index) })), shape: [h, w], crop };
}
