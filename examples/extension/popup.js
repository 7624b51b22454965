const [picture, answer] = ['picture', 'answer'].map((id) => document.getElementById(id));

/** Messages of extensions are JSON, so that a picture goes as a data: URL. */
const dataUrl = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

picture.addEventListener('change', async () => {
  answer.textContent = await chrome.runtime.sendMessage(await dataUrl(picture.files[0]));
});
