const picture = document.getElementById('picture');
const answer = document.getElementById('answer');

const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
worker.onmessage = ({ data }) => {
  answer.textContent = data;
};
picture.addEventListener('change', () => worker.postMessage(picture.files[0]));
