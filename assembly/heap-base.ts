/** The first address that static data does not use. */
export function heapBase(): usize {
  return __heap_base;
}
