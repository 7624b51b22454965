/** What a file says of its network, kept in the metadata of safetensors, which has no other place for it. */

import { ResnetError } from '../../models/errors.js';
import type { Graph } from '../../models/graph.js';
import { graphFromJson, graphToJson } from '../../models/graph-json.js';
import { type PreprocessingName, preprocessings } from '../../models/preprocessing.js';
import { label, plain, shown } from '../util/messages.js';
import type { ArchConfig } from './types.js';

const PREFIX = 'resnet-wasm.';

/** Reads each entry from its text; undefined if it is not one. */
const READ: { readonly [Key in keyof ArchConfig]-?: (text: string) => ArchConfig[Key] } = {
  batchNormEps: (text) => (Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined),
  convBias: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
  strideIn: (text) => (text === 'conv1' || text === 'conv2' ? text : undefined),
};

/** Keys that 0.1 wrote. */
const OLD_NAMES: Readonly<Record<string, readonly string[]>> = { strideIn: ['stride'] };

/** Writes what is known of a network, an entry per key. */
export function configToMetadata(config: ArchConfig): Record<string, string> {
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [PREFIX + key, String(value)]));
}

/** Reads what is known of a network. Throws, `subject` first, if an entry is none that this project writes. */
export function configFromMetadata(subject: string, metadata: Readonly<Record<string, string>>): ArchConfig {
  const config: Record<string, unknown> = {};
  for (const [key, read] of Object.entries(READ)) {
    const name = [key, ...(OLD_NAMES[key] ?? [])]
      .map((each) => PREFIX + each)
      .find((each) => Object.hasOwn(metadata, each));
    const text = name === undefined ? undefined : metadata[name];
    if (text === undefined) continue;
    config[key] = read(text);
    if (config[key] === undefined) {
      throw new ResnetError('weights', `${subject}: expected ${name} as this project writes it, got ${shown(text)}.`);
    }
  }
  return config;
}

const PREPROCESSING = `${PREFIX}preprocessing`;

/** Writes how a network wants its pictures, if the file says it. */
export const preprocessingToMetadata = (name: PreprocessingName | undefined): Record<string, string> =>
  name ? { [PREPROCESSING]: name } : {};

/** Reads how a network wants its pictures. Throws, `subject` first, if it is no preprocessing that there is. */
export function preprocessingFromMetadata(
  subject: string,
  { [PREPROCESSING]: name }: Readonly<Record<string, string>>,
): PreprocessingName | undefined {
  if (name === undefined || Object.hasOwn(preprocessings, name)) return name as PreprocessingName | undefined;
  throw new ResnetError(
    'weights',
    `${subject}: expected ${PREPROCESSING} as this project writes it, got ${shown(name)}.`,
  );
}

const GRAPH = `${PREFIX}graph`;
/** Of a message that may quote the file. */
const LONGEST_MESSAGE = 300;

/** Writes a graph, as one entry of JSON. */
export const graphToMetadata = (graph: Graph | undefined): Record<string, string> =>
  graph ? { [GRAPH]: graphToJson(graph) } : {};

/** Takes the graph out of a file's metadata, if it is there. Rejects, `subject` first, if it is none that can be run. */
export async function graphFromMetadata(
  subject: string,
  metadata: Readonly<Record<string, string>>,
): Promise<{ readonly graph?: Graph; readonly rest: Readonly<Record<string, string>> }> {
  const { [GRAPH]: text, ...rest } = metadata;
  if (text === undefined) return { rest };
  try {
    return { graph: await graphFromJson(text), rest };
  } catch (cause) {
    throw new ResnetError('weights', `${subject}: ${GRAPH}: ${label(plain(cause), LONGEST_MESSAGE)}.`, { cause });
  }
}

const LABELS = `${PREFIX}labels`;

/** Writes a label per class. */
export const labelsToMetadata = (labels: readonly string[]): Record<string, string> => ({
  [LABELS]: JSON.stringify(labels),
});

/** Reads a label per class; undefined if there are none. Throws, `subject` first, if they are no list of texts. */
export function labelsFromMetadata(
  subject: string,
  { [LABELS]: text }: Readonly<Record<string, string>>,
): readonly string[] | undefined {
  if (text === undefined) return undefined;
  try {
    const labels: unknown = JSON.parse(text);
    if (Array.isArray(labels) && labels.every((label) => typeof label === 'string')) return labels;
  } catch {}
  throw new ResnetError('weights', `${subject}: expected ${LABELS} to be a list of texts, got ${shown(text)}.`);
}

const BASE = `${PREFIX}base`;

/** Writes whose embeddings a head reads. */
export const baseToMetadata = (network: string): Record<string, string> => ({ [BASE]: network });

/** Reads the network whose embeddings a head reads; undefined if the file is no head. */
export const baseFromMetadata = ({ [BASE]: network }: Readonly<Record<string, string>>): string | undefined => network;
