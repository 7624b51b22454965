/**
 * FlatBuffers (https://flatbuffers.dev/internals), written front to back: a table's children follow it, so that every
 * offset points forward, and its vtable stands right before it.
 */

/** A field of a table, with its slot in the schema; a default value may be left out. */
export type Field =
  | { readonly slot: number; readonly int8: number }
  | { readonly slot: number; readonly int32: number }
  | { readonly slot: number; readonly child: Child };

export type Child =
  | { readonly table: readonly Field[] }
  | { readonly text: string }
  | { readonly int32s: readonly number[] }
  /** Aligned to 16 bytes. */
  | { readonly bytes: Uint8Array }
  | { readonly children: readonly Child[] };

const encoder = new TextEncoder();

class Writer {
  #at = 0;
  readonly #pieces: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  get position(): number {
    return this.#at;
  }

  /** Goes on at the next position from which `offset` bytes further on is a multiple of `to`. */
  align(to: number, offset = 0): void {
    this.#at += (to - ((this.#at + offset) % to)) % to;
  }

  append(bytes: Uint8Array): void {
    this.#pieces.push({ at: this.#at, bytes });
    this.#at += bytes.length;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#at);
    for (const { at, bytes } of this.#pieces) all.set(bytes, at);
    return all;
  }
}

/** Little-endian words, with places to be filled once children have theirs. */
function words(count: number): { view: DataView; bytes: Uint8Array } {
  const bytes = new Uint8Array(count * 4);
  return { view: new DataView(bytes.buffer), bytes };
}

/** Writes a child; gives its address. */
function write(to: Writer, child: Child): number {
  if ('table' in child) return writeTable(to, child.table);
  if ('text' in child || 'bytes' in child) {
    const body = 'text' in child ? encoder.encode(`${child.text}\0`) : child.bytes;
    to.align('text' in child ? 4 : 16, 4);
    const at = to.position;
    const { view, bytes } = words(1);
    view.setUint32(0, body.length - ('text' in child ? 1 : 0), true);
    to.append(bytes);
    to.append(body);
    return at;
  }
  const items: readonly unknown[] = 'int32s' in child ? child.int32s : child.children;
  to.align(4);
  const at = to.position;
  const { view, bytes } = words(1 + items.length);
  view.setUint32(0, items.length, true);
  to.append(bytes);
  for (const [i, item] of 'int32s' in child ? child.int32s.entries() : child.children.entries()) {
    const place = 4 * (1 + i);
    if (typeof item === 'number') view.setInt32(place, item, true);
    else view.setUint32(place, write(to, item) - (at + place), true);
  }
  return at;
}

/** vtable (u16: its bytes, the table's bytes, each slot's offset in the table or 0), then the table: one word a field. */
function writeTable(to: Writer, fields: readonly Field[]): number {
  const slots = Math.max(-1, ...fields.map(({ slot }) => slot)) + 1;
  const vtableBytes = 4 + 2 * slots;
  to.align(4, vtableBytes);
  const vtable = new DataView(new ArrayBuffer(vtableBytes));
  vtable.setUint16(0, vtableBytes, true);
  vtable.setUint16(2, 4 * (1 + fields.length), true);
  to.append(new Uint8Array(vtable.buffer));
  const at = to.position;
  const { view, bytes } = words(1 + fields.length);
  view.setInt32(0, vtableBytes, true);
  to.append(bytes);
  fields.forEach((field, i) => {
    const place = 4 * (1 + i);
    vtable.setUint16(4 + 2 * field.slot, place, true);
    if ('int8' in field) view.setInt8(place, field.int8);
    else if ('int32' in field) view.setInt32(place, field.int32, true);
    else view.setUint32(place, write(to, field.child) - (at + place), true);
  });
  return at;
}

/** A whole buffer with `root` as its root table and a file identifier of four letters. */
export function flatbuffer(root: readonly Field[], identifier: string): Uint8Array {
  const to = new Writer();
  const { view, bytes } = words(2);
  bytes.set(encoder.encode(identifier), 4);
  to.append(bytes);
  view.setUint32(0, writeTable(to, root), true);
  return to.bytes();
}
