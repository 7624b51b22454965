/** Modules that runtimes compile before a script runs, as workerd does. */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
