/** Activations as values: what follows a layer and is computed with it. A row each. */

import { type Check, finite, oneOf, shown } from './check.js';
import { ResnetError } from './errors.js';

/** x -> max(x, 0). */
export interface Relu {
  readonly kind: 'relu';
}

/** x -> min(max(x, low), high); ReLU6 is 0 to 6. Either bound may be infinite. */
export interface Clip {
  readonly kind: 'clip';
  readonly low: number;
  readonly high: number;
}

/** x -> x above 0, `slope` · x below (Maas et al. 2013). */
export interface LeakyRelu {
  readonly kind: 'leakyRelu';
  readonly slope: number;
}

/** As leaky ReLU, with a slope per channel that is learnt: the parameter `weight`, [C] (He et al. 2015, PReLU). */
export interface Prelu {
  readonly kind: 'prelu';
}

/** x -> x · sigmoid(x), also called swish (Elfwing et al. 2018). */
export interface Silu {
  readonly kind: 'silu';
}

/** x -> 1 / (1 + exp(−x)). */
export interface Sigmoid {
  readonly kind: 'sigmoid';
}

/** x -> x · min(max(x / 6 + 1/2, 0), 1) (Howard et al. 2019, MobileNetV3). */
export interface HardSwish {
  readonly kind: 'hardSwish';
}

/** x -> min(max(alpha · x + beta, 0), 1); alpha is 1/6 and beta 1/2 unless told otherwise. */
export interface HardSigmoid {
  readonly kind: 'hardSigmoid';
  readonly alpha?: number;
  readonly beta?: number;
}

/** x -> x · Φ(x), Φ the normal distribution's (Hendrycks and Gimpel 2016). */
export interface Gelu {
  readonly kind: 'gelu';
}

export type Activation = Relu | Clip | LeakyRelu | Prelu | Silu | Sigmoid | HardSwish | HardSigmoid | Gelu;

type ActivationOf<Kind extends Activation['kind']> = Extract<Activation, { kind: Kind }>;

interface ActivationRow<One extends Activation> {
  /** The export of the binary whose value a record's `activation` has. */
  readonly kernelConstant: string;
  readonly check?: (activation: One, subject: string) => void;
  words(activation: One): string;
  /** A record's `alpha` and `beta`, if the activation has numbers. */
  readonly fields?: (activation: One) => { readonly alpha: number; readonly beta?: number };
}

/** 1/6 and 1/2: torch's, and ONNX's for HardSwish. */
const HARD_SIGMOID = { alpha: 1 / 6, beta: 0.5 } as const;

/** One row per kind of activation. */
export const activations: { readonly [Kind in Activation['kind']]: ActivationRow<ActivationOf<Kind>> } = {
  relu: { kernelConstant: 'ACTIVATION_RELU', words: () => 'ReLU' },
  clip: {
    kernelConstant: 'ACTIVATION_CLIP',
    check: ({ low, high }, subject) => {
      if (typeof low !== 'number' || typeof high !== 'number' || !(low <= high)) {
        throw new ResnetError(
          'argument',
          `${subject}: expected numbers low ≤ high to clip to, got ${typeof low === 'number' ? low : shown(low)} and ${typeof high === 'number' ? high : shown(high)}.`,
        );
      }
    },
    words: ({ low, high }) => (low === 0 && high === 6 ? 'ReLU6' : `clip ${low} to ${high}`),
    fields: ({ low, high }) => ({ alpha: low, beta: high }),
  },
  leakyRelu: {
    kernelConstant: 'ACTIVATION_LEAKY_RELU',
    check: ({ slope }, subject) => finite('slope')(slope, subject),
    words: () => 'leaky ReLU',
    fields: ({ slope }) => ({ alpha: slope }),
  },
  prelu: { kernelConstant: 'ACTIVATION_PRELU', words: () => 'PReLU' },
  hardSigmoid: {
    kernelConstant: 'ACTIVATION_HARD_SIGMOID',
    check: ({ alpha, beta }, subject) => {
      if (alpha !== undefined) finite('alpha')(alpha, subject);
      if (beta !== undefined) finite('beta')(beta, subject);
    },
    words: () => 'hard sigmoid',
    fields: ({ alpha = HARD_SIGMOID.alpha, beta = HARD_SIGMOID.beta }) => ({ alpha, beta }),
  },
  hardSwish: { kernelConstant: 'ACTIVATION_HARD_SWISH', words: () => 'hard swish' },
  sigmoid: { kernelConstant: 'ACTIVATION_SIGMOID', words: () => 'sigmoid' },
  silu: { kernelConstant: 'ACTIVATION_SILU', words: () => 'SiLU' },
  gelu: { kernelConstant: 'ACTIVATION_GELU', words: () => 'GELU' },
};

const rowOf = ({ kind }: Activation): ActivationRow<Activation> => activations[kind] as ActivationRow<Activation>;

/** Checks an activation's kind and numbers. */
export const activation: Check = (value, subject) => {
  if (typeof value !== 'object' || value === null) {
    throw new ResnetError('argument', `${subject}: expected an activation like { kind: 'relu' }, got ${shown(value)}.`);
  }
  const given = value as Activation;
  oneOf(subject, "the activation's kind", given.kind, Object.keys(activations));
  rowOf(given).check?.(given, subject);
};

/** `ReLU`, `clip -1 to 1`. */
export const activationWords = (given: Activation): string => rowOf(given).words(given);

/** The name of the binary's constant for a record's `activation`. */
export const kernelConstant = (given: Activation | undefined): string =>
  given ? rowOf(given).kernelConstant : 'ACTIVATION_NONE';

/** A record's numbers of an activation: `alpha` and `beta`, float32. */
export const activationFields = (given: Activation | undefined): Readonly<Record<string, number>> =>
  (given && rowOf(given).fields?.(given)) ?? {};
