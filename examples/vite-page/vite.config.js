/** With these headers a page may share memory, and the model runs on several threads. Your host has to send them too. */
const headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

export default { server: { headers }, preview: { headers } };
