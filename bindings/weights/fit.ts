/** How a file's tensors fit a network: under which prefix, with which last layer, beside which tensors of others. */

import { ResnetError } from '../../models/errors.js';
import { type Graph, parameters } from '../../models/graph.js';
import type { Aliases } from '../../models/network.js';
import { label } from '../util/messages.js';
import { sameShape } from '../util/shape.js';
import type { Named } from './exact.js';
import { headModule, headOf, withoutBias, withoutHead } from './heads.js';
import { COUNTER, translatedTensor } from './torch-names.js';

/** What a file holds: its tensors, and the names of those that are no floating point, which no network may lack. */
export interface Held {
  readonly tensors: readonly Named[];
  readonly skipped: readonly string[];
}

/** A tensor under the names of a network. */
export interface Entry extends Named {
  /** In the file. */
  readonly source: string;
  /** Whether it is one that is no floating point. */
  readonly isSkipped: boolean;
}

/** A network with a file's tensors in its places. */
export interface Fit {
  /** What the network's tensors begin with in the file. */
  readonly prefix: string;
  /** The network, without a bias or layers that the file does not have. */
  readonly graph: Graph;
  /** The network's names and shapes by those of the file. */
  readonly names: ReadonlyMap<string, Named>;
  /** Names of tensors that are not the network's. */
  readonly foreign: readonly string[];
  /** What the file does not have, and what comes of it; undefined if it has all. */
  readonly lacking: string | undefined;
}

export interface FitOptions {
  /** Whether the last layer may have another name or no bias. */
  readonly isHeadFree: boolean;
  /** Whether it may be missing too. */
  readonly mayLackHead: boolean;
  readonly aliases?: Aliases | undefined;
}

/** Tensors that a network has at least without its last layers: AlexNet's convolutions. */
const FEWEST = 10;
/** What is looked at: of more, those that most tensors have. */
const MAX_PREFIXES = 200;
/** Letters of a name that may be a network's, and of the first of each. */
const LONGEST = 250;
const SHORT = 60;
/** Names in each other that may come before a network's. */
const MAX_DEPTH = 8;

/** What wraps a part of a network, whose name then has it in the middle: `features.module.0.weight`. */
const INNER = /(?:\.(?:module|_orig_mod))+\./g;

/** Lists what a network's names may begin with in a file: whatever enough of them have before a dot, or nothing. */
export function prefixesOf({ tensors }: Held): string[] {
  const counts = new Map<string, number>([['', tensors.length]]);
  for (const { name } of tensors) {
    let at = name.indexOf('.');
    for (let depth = 0; at >= 0 && depth < MAX_DEPTH; depth++) {
      const prefix = name.slice(0, at + 1);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      at = name.indexOf('.', at + 1);
    }
  }
  const enough = [...counts].filter(([prefix, count]) => count >= FEWEST || prefix === '');
  if (enough.length > MAX_PREFIXES) enough.sort(([, a], [, b]) => b - a);
  return enough.slice(0, MAX_PREFIXES).map(([prefix]) => prefix);
}

/** Finds the tensors under a prefix by a network's names; undefined if two come to have one name. */
export function entriesUnder(
  { tensors, skipped }: Held,
  prefix: string,
  aliases: Aliases | undefined,
): Map<string, Entry> | undefined {
  const entries = new Map<string, Entry>();
  const add = ({ name: source, shape }: Named, isSkipped: boolean): boolean => {
    if (!source.startsWith(prefix)) return true;
    const rest = source.slice(prefix.length);
    const isShort = rest.length <= LONGEST;
    if (isShort && COUNTER.test(source)) return true;
    const isTranslated = aliases && isShort;
    const named = isTranslated
      ? translatedTensor({ name: rest.replace(INNER, '.'), shape }, aliases)
      : { name: rest, shape };
    if (entries.has(named.name)) return false;
    entries.set(named.name, { ...named, source, isSkipped });
    return true;
  };
  const areDifferent = tensors.every((tensor) => add(tensor, false));
  return areDifferent && skipped.every((name) => add({ name, shape: [] }, true)) ? entries : undefined;
}

/** Finds the tensors under a prefix by the names that networks' aliases give them, once for all that share these. */
export function tablesUnder(held: Held, prefix: string) {
  const tensors = held.tensors.filter(({ name }) => name.startsWith(prefix));
  // Every network has names as short as `conv1.weight`.
  if (tensors.every(({ name }) => name.length - prefix.length > SHORT)) return () => undefined;
  const below = { tensors, skipped: held.skipped.filter((name) => name.startsWith(prefix)) };
  const tables = new Map<Aliases | undefined, ReadonlyMap<string, Entry> | undefined>();
  return (aliases: Aliases | undefined): ReadonlyMap<string, Entry> | undefined => {
    if (!tables.has(aliases)) tables.set(aliases, entriesUnder(below, prefix, aliases ?? {}));
    return tables.get(aliases);
  };
}

const rootOf = (name: string): string => name.slice(0, name.indexOf('.') + 1) || name;

/**
 * Fits the entries of a prefix to a network by their names; undefined if one is missing, or if one is in a module of the
 * network that does not have it: that is another network. Throws if one that it needs is no floating point.
 */
export function fitEntries(
  entries: ReadonlyMap<string, Entry>,
  graph: Graph,
  { isHeadFree, mayLackHead }: Omit<FitOptions, 'aliases'>,
): Omit<Fit, 'prefix' | 'foreign'> | undefined {
  const wanted = parameters(graph);
  const found = new Map<string, Entry>();
  for (const { name } of wanted) {
    const entry = entries.get(name);
    if (entry) found.set(name, entry);
  }
  const end = found.size < wanted.length && isHeadFree ? headThere(entries, graph, found) : undefined;
  if (found.size < wanted.length && (!end || (end.free && !mayLackHead))) return undefined;
  const { graph: fitting = graph, lacking, free } = end ?? {};

  const used = new Set(found.values());
  const roots = new Set(wanted.map(({ name }) => rootOf(name)));
  const isForeign = (entry: Entry): boolean => !used.has(entry) && roots.has(rootOf(entry.name));
  for (const entry of entries.values()) {
    // A whole number in the network's modules is no weight, unless it stands for one.
    const isFree = free !== undefined && entry.name.startsWith(free);
    if (isForeign(entry) && !entry.isSkipped && !isFree) return undefined;
    if (entry.isSkipped && (used.has(entry) || isFree)) {
      throw new ResnetError(
        'weights',
        `${label(entry.source)}: expected values of 64, 32 or 16 bits of floating point, got others.`,
      );
    }
  }
  const names = new Map([...found].map(([name, { source, shape }]) => [source, { name, shape }]));
  return { graph: fitting, names, lacking };
}

/** The end of a network as a file has it. */
interface End {
  readonly graph: Graph;
  readonly lacking?: string;
  /** What the names of layers begin with that the file may have in the place of those that are missing. */
  readonly free?: string;
}

/**
 * Finds what a file has of a network's last layer, and puts it into `found` if it has another name there. Undefined if
 * another tensor is missing too.
 */
function headThere(entries: ReadonlyMap<string, Entry>, graph: Graph, found: Map<string, Entry>): End | undefined {
  const head = headOf(graph);
  const missing = parameters(graph).filter(({ name }) => !found.has(name));
  if (!head || !missing.every(({ name }) => head.tensors.has(name))) return undefined;
  const isOwn = missing.every(({ name }) => head.own.has(name));
  const isWhole = missing.length === (isOwn ? head.own : head.tensors).size;
  const module = isOwn && isWhole ? headModule(head, [...entries.values()]) : undefined;
  const weight = entries.get(`${module}.weight`) ?? found.get(head.weight);
  const bias = module && entries.get(`${module}.bias`);
  if (weight && isOwn) {
    found.set(head.weight, weight);
    if (bias && head.bias) found.set(head.bias, bias);
    if (bias || !head.bias) return { graph };
    return { graph: withoutBias(graph), lacking: `the file has no bias of ${head.name}, so that none is added` };
  }
  if (!isWhole) return undefined;
  const lacking = `the file has no ${head.name}, so that the model gives features and no classes`;
  return isOwn
    ? { graph: withoutHead(graph, 'last'), lacking, free: `${head.name}.` }
    : { graph: withoutHead(graph, 'all'), lacking, free: rootOf(head.name) };
}

/** Whether every tensor has the shape that the network has it in. */
export function hasShapes({ graph, names }: Pick<Fit, 'graph' | 'names'>): boolean {
  const shapes = new Map([...names.values()].map(({ name, shape }) => [name, shape]));
  return parameters(graph).every(({ name, shape }) => sameShape(shapes.get(name) ?? [], shape));
}

/** Finds all places in a file where a network's tensors are: where their shapes fit too, if they do anywhere. */
export function fitsOf(held: Held, graph: Graph, { aliases, ...head }: FitOptions): Fit[] {
  const fits = prefixesOf(held).flatMap((prefix): Fit[] => {
    const entries = entriesUnder(held, prefix, aliases);
    const fit = entries && fitEntries(entries, graph, head);
    return fit ? [{ ...fit, prefix, foreign: foreignTo(held, fit.names) }] : [];
  });
  const whole = fits.filter(hasShapes);
  return whole.length > 0 ? whole : fits;
}

/** Lists tensors of a file that are not among `names`, except counters. */
export const foreignTo = ({ tensors, skipped }: Held, names: { has(name: string): boolean }): string[] =>
  [...tensors.map(({ name }) => name), ...skipped].filter((name) => !names.has(name) && !COUNTER.test(name));
