/** Imports the names of ImageNet's 1000 classes (ILSVRC 2012), by index. */
export const imagenetLabels = async (): Promise<readonly string[]> =>
  (await import('../../models/labels/imagenet.js')).imagenetLabels;
