/** Keras's names of the layers of residual networks, which are torchvision's modules. */

const alphabetIndex = (letter: string): number => letter.charCodeAt(0) - 'a'.charCodeAt(0);

/** Names a convolution or norm of a block. Unit 0 is the shortcut. Keras counts stages from 2, torchvision from 1. */
function unitModule(stage: number, block: number, unit: number, isNorm: boolean): string {
  const path = `layer${stage - 1}.${block}`;
  if (unit === 0) return `${path}.downsample.${isNorm ? 1 : 0}`;
  return `${path}.${isNorm ? 'bn' : 'conv'}${unit}`;
}

/**
 * Finds torchvision's module of a Keras layer; undefined for a layer of no ResNet. There are two generations of names:
 *
 *   keras-team/keras to 2.2          keras.applications since       torchvision
 *   conv1, bn_conv1, fc1000          conv1_conv, conv1_bn,          conv1, bn1, fc
 *                                    predictions or probs
 *   res3a_branch2a, bn3a_branch2a    conv3_block1_1_conv, …_1_bn    layer2.0.conv1, layer2.0.bn1
 *   res3a_branch1, bn3a_branch1      conv3_block1_0_conv, …_0_bn    layer2.0.downsample.0, layer2.0.downsample.1
 *   res3b_branch2c or, in 101 and    conv3_block2_3_conv            layer2.1.conv3
 *   152 layers, res3b1_branch2c
 */
export function kerasResnetModule(layer: string): string | undefined {
  if (layer === 'conv1' || layer === 'conv1_conv') return 'conv1';
  if (layer === 'bn_conv1' || layer === 'conv1_bn') return 'bn1';
  if (/^(fc\d+|predictions|probs)$/.test(layer)) return 'fc';

  const recent = /^conv([2-5])_block([1-9]\d{0,2})_([0-3])_(conv|bn)$/.exec(layer);
  if (recent) {
    const [, stage, block, unit, kind] = recent;
    return unitModule(Number(stage), Number(block) - 1, Number(unit), kind === 'bn');
  }
  const old = /^(res|bn)([2-5])(?:([a-z])|b([1-9]\d{0,2}))_branch(?:1|2([a-c]))$/.exec(layer);
  if (old) {
    const [, kind, stage, letter, number, unit] = old;
    const block = letter ? alphabetIndex(letter) : Number(number);
    return unitModule(Number(stage), block, unit ? alphabetIndex(unit) + 1 : 0, kind === 'bn');
  }
  return undefined;
}
