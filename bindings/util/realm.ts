/** What a value is, whichever realm it comes from: an iframe's or a vm context's arrays are no instances of this one's. */

import { shown } from './messages.js';

/** Types by what values of theirs say of themselves. */
interface Kinds {
  ArrayBuffer: ArrayBuffer;
  Blob: Blob;
  Error: Error;
  File: File;
  Float32Array: Float32Array;
  Float64Array: Float64Array;
  ImageBitmap: ImageBitmap;
  OffscreenCanvas: OffscreenCanvas;
  Response: Response;
  SharedArrayBuffer: SharedArrayBuffer;
  URL: URL;
  Uint16Array: Uint16Array;
  Uint8Array: Uint8Array;
  Uint8ClampedArray: Uint8ClampedArray;
  'WebAssembly.Module': WebAssembly.Module;
}

/** The name that a value has from its type, a subclass that of its base: `Uint8Array` of a Buffer, `Object` of most. */
export const kindOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/** Whether a value is of one of these types, of any realm. */
export const isA = <Name extends keyof Kinds>(value: unknown, ...names: readonly Name[]): value is Kinds[Name] =>
  (names as readonly string[]).includes(kindOf(value));

/** Whether a value is a Blob or a File, which is one. */
export const isBlob = (value: unknown): value is Blob => isA(value, 'Blob', 'File');

/** Whether a value is an Error, of any class: what fails in Node itself is of the main realm in a vm context too. */
export const isError = (value: unknown): value is Error => ['Error', 'DOMException'].includes(kindOf(value));

/** What a value of a wrong type is, for a message: `a Float64Array`, `null`, `"text"`. */
export const shownKind = (value: unknown): string =>
  ArrayBuffer.isView(value) || isA(value, 'ArrayBuffer', 'SharedArrayBuffer', 'Blob', 'File')
    ? `${/^[AEIO]/.test(kindOf(value)) ? 'an' : 'a'} ${kindOf(value)}`
    : shown(value);
