// Files that any host can serve; for threads it sends the headers that the package's README names.
export default { output: 'export' };
