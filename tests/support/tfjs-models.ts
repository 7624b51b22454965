/** TensorFlow.js layers models made by code. */

export interface Weight {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: unknown;
}

export interface Layer {
  class_name: string;
  config: Record<string, unknown>;
}

export interface Model {
  format?: string;
  modelTopology: { model_config: { class_name: string; config: { layers: Layer[] } } };
  weightsManifest: { paths: string[]; weights: Weight[] }[];
}

export const weight = (name: string, shape: number[]): Weight => ({ name, shape, dtype: 'float32' });

export const conv = (name: string, stride = 1): Layer => ({
  class_name: 'Conv2D',
  config: { name, strides: [stride, stride], use_bias: true },
});

export const norm = (name: string): Layer => ({ class_name: 'BatchNormalization', config: { name, epsilon: 0.001 } });

export const dense = (name: string): Layer => ({ class_name: 'Dense', config: { name, use_bias: true } });

export const model = (layers: Layer[], ...weightsManifest: Model['weightsManifest']): Model => ({
  format: 'layers-model',
  modelTopology: { model_config: { class_name: 'Model', config: { layers } } },
  weightsManifest,
});

/** Little-endian bytes of numbers. */
export const bytesOf = (values: Float32Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
