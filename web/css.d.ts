// Style sheets that scripts import for esbuild to collect.
declare module '*.css';
