/** The camera: what it shows, a still of it, and frames one after another. */

import { h } from './dom.js';

/** Reasons of getUserMedia, by the names of their DOMExceptions. */
const REASONS: Readonly<Record<string, string>> = {
  NotAllowedError: 'a refusal; allow it in the settings of this page',
  NotFoundError: 'none on this device',
  NotReadableError: 'one that another program uses',
  // WebKit's, for "Invalid constraint", which nothing but its absence breaks.
  OverconstrainedError: 'none on this device',
  SecurityError: 'a page that may not use it',
};

export class Camera {
  readonly video = h('video', { muted: true, playsinline: true, autoplay: true, 'aria-label': 'What the camera sees' });
  #stream: MediaStream | undefined;
  #opening: object | undefined;

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  /** Rejects if there is no camera, or it may not be used. Resolves to false if it was closed meanwhile. */
  async open(): Promise<boolean> {
    // Not there at all without HTTPS.
    if (!navigator.mediaDevices) throw new Error('camera: expected a page served over HTTPS, got plain HTTP.');
    const opening = {};
    this.#opening = opening;
    const stream = await navigator.mediaDevices
      .getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 } } })
      .catch((cause: DOMException) => {
        throw new Error(`camera: expected one to take pictures with, got ${REASONS[cause.name] ?? cause.message}.`, {
          cause,
        });
      });
    if (this.#opening !== opening) {
      for (const track of stream.getTracks()) track.stop();
      return false;
    }
    this.#stream = stream;
    this.video.srcObject = stream;
    this.video.muted = true;
    await this.video.play();
    return this.isOpen;
  }

  close(): void {
    this.#opening = undefined;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.video.srcObject = null;
  }

  /** What the camera sees now, as a picture without loss. */
  async still(): Promise<Blob> {
    const { videoWidth: width, videoHeight: height } = this.video;
    const canvas = h('canvas', { width, height });
    canvas.getContext('2d')?.drawImage(this.video, 0, 0);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new Error('camera: expected a picture of it, got none.'));
      });
    });
  }
}
