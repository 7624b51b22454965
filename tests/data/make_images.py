#!/usr/bin/env python3
"""Makes images/ and, from the folder of scikit-image's pictures, photos/: make_images.py [SKIMAGE_DATA].

What Pillow makes of pictures is the reference of tests/image/ and tests/node/decode-image.test.ts:

- resized.json, resized.bin: sources made by a rule that the tests repeat, each resized, cropped and as RGB bytes, or
  grey ones. Results of more than 64 pixels a side, and those of other filters than BILINEAR, are kept as SHA-256.
- decoded.json, decoded.bin: small files of every kind, and their pixels as RGB or RGBA bytes, upright.

Needs Pillow and numpy (Debian's python3-pil and python3-numpy; made with Pillow 9.4.0).
"""

import hashlib
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

HERE = Path(__file__).parent
IMAGES = HERE / "images"
PHOTOS = HERE / "photos"


def source(width, height, channels, seed, block):
    """Bytes by a hash of their place; `block` pixels a side are alike: 1 is noise, more has edges."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    at = ((y // block) * width + x // block) * channels + c + seed
    h = at.astype(np.uint32) * np.uint32(0x9E3779B1)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x85EBCA77)
    return ((h ^ (h >> np.uint32(13))) >> np.uint32(8)).astype(np.uint8)


def on_white(image):
    """RGB, over white where it is transparent."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def prepare(image, resize, crop, filter=Image.BILINEAR):
    """torchvision's Resize(resize) and CenterCrop(crop) on a PIL image, after torchvision.transforms.functional."""
    w, h = image.size
    if isinstance(resize, int):
        short, long = (w, h) if w <= h else (h, w)
        other = int(resize * long / short)
        size = (w, h) if short == resize else (resize, other) if w <= h else (other, resize)
    else:
        size = (resize[1], resize[0])
    if size != (w, h):
        image = image.resize(size, filter)
        w, h = image.size
    crop_h, crop_w = (crop, crop) if isinstance(crop, int) else crop
    if crop_w > w or crop_h > h:
        left = (crop_w - w) // 2 if crop_w > w else 0
        top = (crop_h - h) // 2 if crop_h > h else 0
        right = (crop_w - w + 1) // 2 if crop_w > w else 0
        bottom = (crop_h - h + 1) // 2 if crop_h > h else 0
        image = ImageOps.expand(image, (left, top, right, bottom), 0)
        w, h = image.size
    top, left = int(round((h - crop_h) / 2.0)), int(round((w - crop_w) / 2.0))
    return image.crop((left, top, left + crop_w, top + crop_h))


FILTERS = dict(nearest=Image.NEAREST, bilinear=Image.BILINEAR, bicubic=Image.BICUBIC, lanczos=Image.LANCZOS)


def digest_of(row):
    """SHA-256 of what a row of resized.json asks for: from alpha to grey to the crop."""
    image = Image.fromarray(source(*(row[key] for key in ("width", "height", "channels", "seed", "block"))))
    image = image.convert("RGB") if row["transparency"] == "drop" else on_white(image)
    if row["channelOrder"] == "grey":
        image = image.convert("L")
    result = prepare(image, row["resize"], row["crop"], FILTERS[row["interpolation"]])
    return hashlib.sha256(result.tobytes()).hexdigest()


class Store:
    """Pixels one after the other in NAME.bin, and what they are in NAME.json."""

    def __init__(self, name):
        self.name, self.rows, self.bytes = name, [], b""

    def add(self, row, pixels):
        self.rows.append({**row, "offset": len(self.bytes)})
        self.bytes += pixels

    def write(self):
        (IMAGES / f"{self.name}.bin").write_bytes(self.bytes)
        lines = ",\n".join(json.dumps(row) for row in self.rows)
        (IMAGES / f"{self.name}.json").write_text(f"[\n{lines}\n]\n")


def resized():
    """Sizes down, up, odd, thin, equal; both layouts; crops inside, of odd differences, and larger than the picture."""
    store = Store("resized")
    for seed, (width, height, channels, block, resize, crop) in enumerate(
        [
            (100, 75, 3, 1, 32, 28),
            (75, 100, 3, 1, 32, 28),
            (331, 277, 3, 5, 32, 28),
            (640, 480, 3, 8, 37, 30),
            (33, 57, 3, 1, 32, 28),
            (31, 32, 3, 1, 32, 28),
            (32, 32, 3, 1, 32, 32),
            (32, 45, 3, 1, 32, 28),
            (17, 13, 3, 2, 48, 41),
            (5, 3, 3, 1, 36, 33),
            (1, 1, 3, 1, 32, 28),
            (2, 1, 3, 1, 33, 33),
            (1, 97, 3, 1, 32, 28),
            (97, 1, 3, 1, 31, 28),
            (3, 400, 3, 3, 32, 28),
            (900, 7, 3, 3, 32, 28),
            (90, 61, 4, 1, 32, 28),
            (20, 21, 4, 3, 40, 35),
            (413, 97, 4, 7, 29, 28),
            (50, 40, 3, 1, 20, 32),
            (40, 51, 3, 1, 23, 32),
            (90, 40, 4, 1, 24, 31),
            (500, 375, 3, 1, 256, 224),
            (375, 500, 3, 9, 256, 224),
            (451, 300, 4, 3, 256, 224),
            (224, 224, 3, 4, 256, 224),
            (256, 256, 3, 1, 256, 224),
            (1600, 1067, 3, 11, 256, 224),
            (767, 1151, 3, 2, 384, 384),
        ]
    ):
        pixels = source(width, height, channels, seed * 1000, block)
        result = prepare(on_white(Image.fromarray(pixels)), resize, crop).tobytes()
        row = dict(width=width, height=height, channels=channels, seed=seed * 1000, block=block, resize=resize, crop=crop)
        if crop <= 64:
            store.add(row, result)
        else:
            store.rows.append({**row, "sha256": hashlib.sha256(result).hexdigest()})
    store.rows += filtered()
    store.write()


def filtered():
    """Every filter: down, up, odd, thin, equal, padded; sizes as they are said; grey; alpha dropped."""
    cases = [
        (100, 75, 3, 1, 32, 28),
        (331, 277, 3, 5, 32, 28),
        (33, 57, 3, 1, 32, 28),
        (31, 32, 3, 1, 32, 28),
        (17, 13, 3, 2, 48, 41),
        (5, 3, 3, 1, 36, 33),
        (1, 1, 3, 1, 32, 28),
        (2, 1, 3, 1, 33, 33),
        (3, 400, 3, 3, 32, 28),
        (413, 97, 4, 7, 29, 28),
        (50, 40, 3, 1, 20, 32),
        (767, 1151, 3, 2, 384, 384),
        (600, 450, 3, 1, 256, 224),
        (61, 47, 3, 1, (24, 40), (20, 36)),
        (19, 23, 4, 1, (50, 30), (50, 30)),
        (40, 40, 3, 1, (16, 61), (24, 21)),
        (64, 48, 3, 1, (48, 32), (48, 32)),
    ]
    rows = []
    for interpolation in FILTERS:
        for case, order, transparency in [
            *((case, "RGB", "white") for case in cases if interpolation != "bilinear" or not isinstance(case[4], int)),
            *((case, "grey", "white") for case in cases),
            ((413, 97, 4, 7, 29, 28), "RGB", "drop"),
            ((90, 61, 4, 1, 40, 33), "grey", "drop"),
        ]:
            row = dict(zip(("width", "height", "channels", "block", "resize", "crop"), case))
            row |= dict(seed=len(rows) * 1000, interpolation=interpolation, channelOrder=order, transparency=transparency)
            rows.append({**row, "sha256": digest_of(row)})
    return rows


def scene(width, height):
    """Slopes of every channel, an edge and a disc: what a photograph has, in a few pixels."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y / (height - 1), x / (width - 1)
    red = 40 + 200 * x
    green = 220 - 190 * y + 20 * np.sin(9 * x)
    blue = 128 + 100 * np.sin(5 * x + 3 * y)
    disc = (x - 0.35) ** 2 + (y - 0.6) ** 2 < 0.04
    pixels = np.stack([red, green, blue], axis=-1)
    pixels[disc] = [230, 40, 60]
    pixels[y < 0.15] *= 0.4
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def png(width, height, depth, colour, rows, *chunks):
    """A PNG of any depth and colour type; `rows`: each a row's bytes. Pillow itself writes 8 bits alone."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + b"".join(chunk(kind, body) for kind, body in chunks)
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9))
        + chunk(b"IEND", b"")
    )


def swapped_profile():
    """An sRGB profile whose red and green are exchanged: applied, it would show."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ", 128), profile.index(b"gXYZ", 128)
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # when it was made, so that every run makes the same file
    return bytes(profile)


def decoded():
    store = Store("decoded")
    # Pixels of lossless files are equal; decoders of JPEG round their colours differently.
    EXACT, LOSSY = 0, 2

    def add(name, data, tolerance, expected=None):
        data = data if isinstance(data, bytes) else encode(*data[:-1], **data[-1])
        (IMAGES / name).write_bytes(data)
        if expected is None:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
            has_alpha = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA")
            expected = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
        height, width, channels = expected.shape
        store.add(
            dict(file=name, width=width, height=height, channels=channels, tolerance=tolerance), expected.tobytes()
        )

    def encode(image, kind, **options):
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    rgb = Image.fromarray(scene(24, 17))
    alpha = Image.fromarray(np.dstack([scene(24, 17), source(24, 17, 1, 5, 3)]))

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = dict(quality=92, subsampling=0, exif=exif)
        add(f"orientation-{orientation}.jpg", (rgb, "JPEG", options), LOSSY)
    add("subsampled.jpg", (Image.fromarray(scene(41, 27)), "JPEG", dict(quality=85, subsampling=2)), LOSSY)
    add("subsampled-half.jpg", (Image.fromarray(scene(41, 27)), "JPEG", dict(quality=85, subsampling=1)), LOSSY)
    add("progressive.jpg", (Image.fromarray(scene(41, 27)), "JPEG", dict(quality=85, progressive=True)), LOSSY)
    add("grey.jpg", (rgb.convert("L"), "JPEG", dict(quality=90)), LOSSY)
    add("profile.jpg", (rgb, "JPEG", dict(quality=92, subsampling=0, icc_profile=swapped_profile())), LOSSY)
    inks = Image.fromarray(np.dstack([255 - scene(24, 17), source(24, 17, 1, 9, 6) // 2]), "CMYK")
    add("cmyk.jpg", (inks, "JPEG", dict(quality=92)), LOSSY)

    add("rgb.png", (rgb, "PNG", {}), EXACT)
    add("alpha.png", (alpha, "PNG", {}), EXACT)
    add("grey.png", (rgb.convert("L"), "PNG", {}), EXACT)
    add("grey-alpha.png", (alpha.convert("LA"), "PNG", {}), EXACT)
    add("bits.png", (rgb.convert("1"), "PNG", {}), EXACT)
    add("palette.png", (rgb.quantize(13), "PNG", {}), EXACT)
    add("palette-alpha.png", (rgb.quantize(16), "PNG", dict(transparency=bytes(range(0, 256, 16)))), EXACT)
    add("profile.png", (rgb, "PNG", dict(icc_profile=swapped_profile())), EXACT)
    linear = struct.pack(">I", 100000)
    add("gamma.png", png(24, 17, 8, 2, [row.tobytes() for row in scene(24, 17)], (b"gAMA", linear)), EXACT)

    # 16 bits: the high byte counts. Pillow clips grey of 16 bits to white instead.
    low = source(24, 17, 4, 11, 1)
    deep = scene(24, 17).astype(">u2") << 8 | low[..., :3]
    add("rgb16.png", png(24, 17, 16, 2, [row.astype(">u2").tobytes() for row in deep]), EXACT, scene(24, 17))
    grey = np.asarray(rgb.convert("L"))
    rows = [row.astype(">u2").tobytes() for row in (grey.astype(">u2") << 8 | low[..., 0])]
    add("grey16.png", png(24, 17, 16, 0, rows), EXACT, np.dstack([grey] * 3))
    deep = np.asarray(alpha).astype(">u2") << 8 | low
    rows = [row.astype(">u2").tobytes() for row in deep]
    add("alpha16.png", png(24, 17, 16, 6, rows), EXACT, np.asarray(alpha))

    add("lossy.webp", (Image.fromarray(scene(41, 27)), "WEBP", dict(quality=85)), LOSSY)
    add("lossless.webp", (rgb, "WEBP", dict(lossless=True)), EXACT)
    add("alpha.webp", (alpha, "WEBP", dict(lossless=True, exact=True)), EXACT)
    add("palette.gif", (rgb.quantize(32), "GIF", {}), EXACT)
    clear = rgb.quantize(16)
    add("transparent.gif", (clear, "GIF", dict(transparency=3)), EXACT)
    frames = [Image.new("RGB", (24, 17), colour).quantize(2) for colour in ("red", "blue")]
    add("frames.gif", (rgb.quantize(32), "GIF", dict(save_all=True, append_images=frames, duration=100)), EXACT)
    store.write()


def photos(folder):
    """scikit-image's photographs as JPEG, and what Pillow makes of them at 56 x 56."""
    for name in ("chelsea", "coffee"):
        path = PHOTOS / f"{name}.jpg"
        Image.open(folder / f"{name}.png").convert("RGB").save(path, quality=90, optimize=True)
        result = prepare(Image.open(path), 64, 56)
        result.save(PHOTOS / f"{name}-56.png", optimize=True)


IMAGES.mkdir(exist_ok=True)
resized()
decoded()
if len(sys.argv) > 1:
    PHOTOS.mkdir(exist_ok=True)
    photos(Path(sys.argv[1]))
