/** The symbol of `using`, which WebKit lacks: those who compile `using` for it take this one's place. */
export const DISPOSE: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
