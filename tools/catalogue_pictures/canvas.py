"""A small drawing surface: flat shapes in a 256-unit square, with gradients and soft shadows.

Shapes are painted four times too large and scaled down once at the end, which gives clean edges.
A fill is one colour, or a pair of colours that run from the top of the shape to its bottom.
"""

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

SIZE = 256
_SCALE = 4

Point = tuple[float, float]
Points = Sequence[Point]
Fill = str | tuple[str, str]


def mix(colour: str, other: str, share: float) -> str:
    """The colour that lies `share` of the way from one colour to the other."""
    pairs = zip(ImageColor.getrgb(colour), ImageColor.getrgb(other), strict=False)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def tint(colour: str, share: float = 0.3) -> str:
    """A lighter variant of the colour."""
    return mix(colour, "#ffffff", share)


def shade(colour: str, share: float = 0.25) -> str:
    """A darker variant of the colour."""
    return mix(colour, "#16142e", share)


def glossy(colour: str) -> Fill:
    """The usual shading of a thing lit from above."""
    return tint(colour, 0.18), shade(colour, 0.14)


def arc(cx: float, cy: float, rx: float, ry: float, start: float = 0, end: float = 360) -> list[Point]:
    """Points along an ellipse; degrees run clockwise from three o'clock."""
    steps = max(8, int(abs(end - start) / 4))
    turns = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(cx + rx * math.cos(turn), cy + ry * math.sin(turn)) for turn in turns]


def bezier(a: Point, b: Point, c: Point, d: Point, steps: int = 24) -> list[Point]:
    """Points along a cubic curve from a to d, pulled towards b and c."""
    points = []
    for i in range(steps + 1):
        t = i / steps
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        corners = (a, b, c, d)
        points.append(
            (
                sum(w * p[0] for w, p in zip(weights, corners, strict=True)),
                sum(w * p[1] for w, p in zip(weights, corners, strict=True)),
            )
        )
    return points


def smooth(points: Points) -> list[Point]:
    """A closed, rounded outline through the points."""
    outline: list[Point] = []
    count = len(points)
    for i in range(count):
        before, here, there, after = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        out = (here[0] + (there[0] - before[0]) / 6, here[1] + (there[1] - before[1]) / 6)
        back = (there[0] - (after[0] - here[0]) / 6, there[1] - (after[1] - here[1]) / 6)
        outline += bezier(here, out, back, there, 12)[:-1]
    return outline


def turn(points: Points, degrees: float, centre: Point = (128, 128)) -> list[Point]:
    """The points, turned clockwise round a centre."""
    angle, (cx, cy) = math.radians(degrees), centre
    cos, sin = math.cos(angle), math.sin(angle)
    return [(cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos) for x, y in points]


class Canvas:
    """A square picture under construction."""

    def __init__(self, background: Fill) -> None:
        self._image = Image.new("RGB", (SIZE * _SCALE, SIZE * _SCALE))
        self.rect(0, 0, SIZE, SIZE, background)

    def finish(self) -> Image.Image:
        """The finished picture, 256 by 256."""
        return self._image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)

    def polygon(self, points: Points, fill: Fill) -> None:
        """A filled outline."""
        self._paint(fill, lambda pen: pen.polygon(_scaled(points), fill=255))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, fill: Fill) -> None:
        """A filled ellipse about a centre."""
        box = _scaled([(cx - rx, cy - ry), (cx + rx, cy + ry)])
        self._paint(fill, lambda pen: pen.ellipse(box, fill=255))

    def circle(self, cx: float, cy: float, radius: float, fill: Fill) -> None:
        """A filled circle."""
        self.ellipse(cx, cy, radius, radius, fill)

    def rect(self, x: float, y: float, width: float, height: float, fill: Fill, radius: float = 0) -> None:
        """A filled rectangle, with rounded corners if a radius is given."""
        box = _scaled([(x, y), (x + width, y + height)])
        self._paint(fill, lambda pen: pen.rounded_rectangle(box, radius * _SCALE, fill=255))

    def line(self, points: Points, fill: Fill, width: float = 2) -> None:
        """A stroke with round ends and joints."""

        def stroke(pen: ImageDraw.ImageDraw) -> None:
            path, half = _scaled(points), width * _SCALE / 2
            pen.line(path, fill=255, width=round(width * _SCALE), joint="curve")
            for x, y in (path[0], path[-1]):
                pen.ellipse((x - half, y - half, x + half, y + half), fill=255)

        self._paint(fill, stroke)

    def shadow(self, cx: float, cy: float, rx: float, ry: float = 9) -> None:
        """A soft dark ellipse, for the ground below a thing."""
        box = _scaled([(cx - rx, cy - ry), (cx + rx, cy + ry)])
        self._paint("#16142e66", lambda pen: pen.ellipse(box, fill=255), blur=5)

    def glow(self, cx: float, cy: float, radius: float, colour: str) -> None:
        """A soft light."""
        box = _scaled([(cx - radius, cy - radius), (cx + radius, cy + radius)])
        self._paint(colour, lambda pen: pen.ellipse(box, fill=255), blur=radius / 3)

    def _paint(self, fill: Fill, shape: Callable[[ImageDraw.ImageDraw], None], blur: float = 0) -> None:
        mask = Image.new("L", self._image.size)
        shape(ImageDraw.Draw(mask))
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * _SCALE))
        box = mask.getbbox()
        if box is None:
            return
        size = (box[2] - box[0], box[3] - box[1])
        top, bottom = (fill, fill) if isinstance(fill, str) else fill
        colour = Image.composite(
            Image.new("RGBA", size, bottom),
            Image.new("RGBA", size, top),
            Image.linear_gradient("L").resize(size),
        )
        cover = ImageChops.multiply(mask.crop(box), colour.getchannel("A"))
        self._image.paste(colour.convert("RGB"), box[:2], cover)


def studio(wall: str) -> Canvas:
    """An indoor scene: a wall with a bright round patch, and a table top from y = 198 down."""
    canvas = Canvas((tint(wall, 0.3), wall))
    canvas.circle(128, 116, 98, tint(wall, 0.45))
    canvas.rect(0, 198, SIZE, 58, (shade(wall, 0.3), shade(wall, 0.16)))
    return canvas


def tabletop(wood: str) -> Canvas:
    """A wooden table seen from above."""
    canvas = Canvas((tint(wood, 0.12), wood))
    for y in (50, 108, 160, 214):
        canvas.line([(0, y), (SIZE, y)], shade(wood, 0.2), 1.5)
        canvas.line(bezier((10, y + 22), (90, y + 10), (150, y + 34), (250, y + 20)), shade(wood, 0.08), 1)
    return canvas


def steam(canvas: Canvas, cx: float, base: float) -> None:
    """Three wisps of steam above something hot."""
    for dx, height in ((-20, 34), (0, 46), (20, 34)):
        x = cx + dx
        wisp = bezier(
            (x, base), (x - 14, base - height / 3), (x + 14, base - height / 1.5), (x, base - height)
        )
        canvas.line(wisp, "#ffffffb0", 4)


def _scaled(points: Points) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]
