"""Generated inputs for the parity check, identical on every machine. `seed` 0 is the parity set; other seeds give
inputs of the same kinds to calibrate int8."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

_ENGLISH = """
red blue large small light heavy waterproof cotton leather steel glass running walking city mountain river
quiet family hotel flight course loan card pension beginner advanced music kitchen garden summer winter shoes
jacket kettle lamp bicycle camera phone tea coffee rice noodles bread organic fresh cheap quality gift for
with and without the a of in under over near best new used two hundred 42 3.5 kg cm
"""
_CHINESE = """
轻便 防水 男士 女士 跑步鞋 羽绒服 电热水壶 台灯 自行车 相机 手机 绿茶 咖啡 大米 面条 面包
有机 新鲜 便宜 质量好 礼物 适合 家庭 酒店 航班 课程 贷款 信用卡 养老金 初学者 音乐 厨房
花园 夏天 冬天 的 和 在 很 非常 附近 推荐 三百元
"""
_EMOJI = "😀 👍🏽 👩‍👩‍👧 🇨🇳 ❤️ 🎧 🚲 ☕ 🍜 ✈️ 🏔️ 💳 📚 ⭐ 🔥"
_EDGE = (
    *("a", "中", "?", "...", "😀", "~", "～", "A", "0", "\u00e9", "e\u0301", "ﬁne", "ＦＵＬＬ　ＷＩＤＴＨ"),
    *("tab\there", "two\nlines", "  spaces   inside  ", "[SEP]", "</s> <s> <pad>", "query: passage: query:"),
    *(
        "nul\0inside",
        "zero\u200bwidth",
        "https://example.org/a/b?c=d&e=%20f",
        "user@example.org +49 (0)30 123",
    ),
    *("SELECT * FROM items WHERE id = 7;", "3.14159265358979", "1,299.00 EUR / ¥98", "C++ & C# <b>bold</b>"),
    *("Donaudampfschifffahrtsgesellschaftskapitän", "supercalifragilisticexpialidocious" * 4, "a" * 40),
    *("!?!?!?!?", "ÄÖÜ äöü ß ẞ", "Привет, мир", "Καλημέρα κόσμε", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया"),
    *(
        "สวัสดีชาวโลก",
        "こんにちは世界",
        "안녕하세요 세계",
        "xin chào thế giới",
        "Zażółć gęślą jaźń",
        "ıİ dotless",
    ),
    *("\u202eright to left\u202c", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "𝕸𝖆𝖙𝖍 𝒶𝓁𝓅𝒽𝒶", "①②③ ㎏ ㍿", "NOT quite", "not quite"),
    *("The same words in another order", "another order in the same words"),
)


def texts(seed: int = 0) -> list[str]:
    """Return 236 texts: edge cases, titles, sentences and pages in English, Chinese, emoji and mixtures. Some are
    longer than any model reads."""
    rng = random.Random(f"texts {seed}")
    english, chinese, emoji = _ENGLISH.split(), _CHINESE.split(), _EMOJI.split()
    vocabularies = [english, chinese, english + emoji, english + chinese, chinese + emoji]

    def words(low: int, high: int) -> str:
        vocabulary = rng.choice(vocabularies)
        chosen = rng.choices(vocabulary, k=rng.randint(low, high))
        ends = [word + rng.choice(["", "", "", "", ",", ".", "。"]) for word in chosen]
        return ("" if vocabulary is chinese else " ").join(ends)

    generated = [words(1, 6) for _ in range(80)]
    generated += [words(7, 30) for _ in range(80)]
    generated += [words(31, 120) for _ in range(22)]
    generated += [words(700, 900) for _ in range(3)]
    return [*_EDGE, *generated]


def pictures(seed: int = 0) -> list[bytes]:
    """Return 208 image files (PNG and JPEG, sides of 8 to 420 pixels): flat colours, gradients, noise, shapes,
    textures, scenes."""
    rng = np.random.default_rng([seed, 208])
    kinds: tuple[Callable[[np.random.Generator, int, int], Image.Image], ...] = (
        _gradient, _noise, _shapes, _stripes, _scene, _scene, _clouds, _flat,
    )  # fmt: skip
    files = []
    for i in range(208):
        height, width = (int(side) for side in rng.integers(8, 420, 2))
        image = kinds[i % len(kinds)](rng, height, width)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG" if i % 3 == 0 else "PNG")
        files.append(buffer.getvalue())
    return files


def _image(values: npt.NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8), "RGB")


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _flat(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    return Image.new("RGB", (width, height), _colour(rng))


def _gradient(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    corners = rng.uniform(0, 255, (2, 2, 3))
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    return _image(top * (1 - y) + (corners[1, 0] * (1 - x) + corners[1, 1] * x) * y)


def _noise(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    return _image(rng.normal(rng.uniform(60, 200, 3), rng.uniform(5, 90), (height, width, 3)))


def _stripes(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    a, b = rng.uniform(-0.8, 0.8, 2)
    wave = (np.sin(a * x + b * y) > rng.uniform(-0.5, 0.5))[..., None]
    return _image(np.where(wave, rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)))


def _clouds(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    total = np.zeros((height, width, 3))
    for octave in range(1, 6):
        coarse = _image(rng.uniform(0, 255, (2**octave, 2**octave, 3)))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    return _image(total)


def _shapes(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    image = _flat(rng, height, width)
    _draw(image, rng, int(rng.integers(1, 9)))
    return image


def _scene(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Return a picture like a photo: a soft background, shapes, shading, blur and grain."""
    image = _clouds(rng, height, width)
    _draw(image, rng, int(rng.integers(2, 6)))
    image = Image.blend(image, _gradient(rng, height, width), float(rng.uniform(0.1, 0.5)))
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2))))
    return _image(np.asarray(image) + rng.normal(0, rng.uniform(1, 12), (height, width, 3)))


def _draw(image: Image.Image, rng: np.random.Generator, count: int) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        w, h = rng.uniform(0.1, 0.6) * image.width, rng.uniform(0.1, 0.6) * image.height
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        kind = int(rng.integers(0, 3))
        if kind == 0:
            draw.ellipse(box, fill=_colour(rng), outline=_colour(rng))
        elif kind == 1:
            draw.rectangle(box, fill=_colour(rng), outline=_colour(rng))
        else:
            draw.polygon([(x, box[1]), (box[2], box[3]), (box[0], box[3])], fill=_colour(rng))
