"""Motifs of photography and music."""

from .canvas import Canvas, Fill, arc, glossy, shade, smooth, studio, tabletop, tint, turn

_DARK = "#2c2a33"
_GLASS = ("#6b8fd0", "#24305a")


def _glass(c: Canvas, x: float, y: float, radius: float, rim: str) -> None:
    for share, fill in ((1.0, glossy(rim)), (0.84, "#15151c"), (0.7, "#2c2c38"), (0.56, _GLASS)):
        c.circle(x, y, radius * share, fill)
    c.circle(x, y, radius * 0.26, "#141a35")
    c.ellipse(x - radius * 0.2, y - radius * 0.24, radius * 0.16, radius * 0.11, "#ffffffc0")


def camera(body: str, grip: str, wall: str) -> Canvas:
    """A camera with interchangeable lens, seen from the front."""
    c = studio(wall)
    c.shadow(128, 207, 98)
    c.rect(98, 52, 60, 34, glossy(body), 8)
    c.rect(50, 66, 26, 16, glossy(shade(body, 0.2)), 4)
    c.rect(180, 62, 30, 20, glossy(shade(body, 0.2)), 4)
    c.circle(62, 66, 9, "#c9352b")
    c.rect(30, 76, 196, 128, glossy(body), 18)
    c.rect(30, 106, 196, 74, glossy(grip))
    c.rect(34, 96, 34, 104, glossy(shade(grip, 0.15)), 12)
    _glass(c, 134, 142, 62, shade(body, 0.25))
    c.circle(204, 92, 6, "#f2c14e")
    c.rect(112, 58, 32, 14, "#3a4a6a", 3)
    return c


def instant_camera(body: str, stripe: str, wall: str) -> Canvas:
    """An instant camera pushing out a print."""
    c = studio(wall)
    c.shadow(128, 228, 76)
    c.rect(62, 160, 132, 66, ("#ffffff", "#ece8df"), 3)
    c.rect(72, 168, 112, 46, ("#8fd3ee", "#f7cf8a"))
    c.polygon([(72, 214), (104, 186), (128, 204), (150, 180), (184, 214)], "#5f9a6a")
    c.rect(40, 44, 176, 132, glossy(body), 28)
    c.rect(40, 128, 176, 12, stripe)
    c.rect(56, 158, 144, 9, _DARK, 4)
    c.rect(62, 60, 40, 22, ("#fffbe8", "#e6dfc4"), 6)
    c.rect(166, 60, 28, 22, "#2c3450", 6)
    c.circle(192, 108, 10, "#e2533c")
    _glass(c, 128, 108, 44, tint(body, 0.5))
    return c


def lens(body: str, ring: str, wall: str, long: bool) -> Canvas:
    """A lens lying on its mount, short or long."""
    c = studio(wall)
    c.shadow(128, 207, 66)
    top = 56 if long else 104
    c.rect(78, 190, 100, 15, ("#d9d9e2", "#8b8b96"), 3)
    c.rect(66, top, 124, 134 - (top - 56), glossy(body), 10)
    rows = (top + 40, top + 84) if long else (top + 44,)
    for y in rows:
        c.rect(62, y, 132, 26, glossy(shade(body, 0.35)), 4)
        for x in range(68, 192, 8):
            c.line([(x, y + 3), (x, y + 23)], tint(body, 0.12), 2)
    c.line([(66, top + 34), (190, top + 34)], ring, 4)
    c.ellipse(128, top + 2, 64, 22, glossy(shade(body, 0.3)))
    c.ellipse(128, top + 2, 52, 17, "#15151c")
    c.ellipse(128, top + 3, 44, 13, _GLASS)
    c.ellipse(112, top - 2, 11, 4, "#ffffffb0")
    return c


def tripod(legs: str, body: str, sky: Fill, ground: str) -> Canvas:
    """A camera on a tripod, outdoors."""
    c = Canvas(sky)
    c.circle(206, 96, 24, "#fff0c0")
    c.polygon([(-10, 186), (50, 110), (96, 150), (150, 92), (270, 186)], shade(ground, 0.35))
    c.rect(0, 176, 256, 80, (tint(ground, 0.1), shade(ground, 0.15)))
    c.shadow(128, 236, 84)
    for foot in (56, 200, 124):
        c.line([(128, 112), (foot, 238)], legs, 8)
        c.line([(128 + (foot - 128) * 0.55, 182), (foot, 238)], shade(legs, 0.4), 6)
    c.rect(116, 92, 24, 34, glossy(legs), 5)
    c.rect(110, 84, 36, 10, _DARK, 3)
    c.rect(104, 22, 40, 16, glossy(body), 5)
    c.rect(76, 32, 104, 54, glossy(body), 10)
    c.rect(76, 46, 104, 28, shade(body, 0.4))
    _glass(c, 128, 60, 26, shade(body, 0.2))
    return c


def drone(body: str, sky: Fill, ground: str) -> Canvas:
    """A small drone in flight above hills."""
    c = Canvas(sky)
    for y, tone in ((150, 0.25), (186, 0.0)):
        c.polygon(
            smooth(
                [
                    (-40, y + 30),
                    (50, y - 10),
                    (140, y + 24),
                    (220, y - 4),
                    (300, y + 26),
                    (300, 300),
                    (-40, 300),
                ]
            ),
            tint(ground, tone),
        )
    for x in (52, 204):
        c.line([(128, 104), (x, 78)], shade(body, 0.35), 9)
        c.rect(x - 6, 66, 12, 20, shade(body, 0.5), 4)
        c.ellipse(x, 64, 44, 6, "#ffffff90")
        c.ellipse(x, 64, 30, 3, "#55555f90")
    for x in (84, 172):
        c.line([(128, 108), (x, 134)], shade(body, 0.45), 8)
        c.ellipse(x, 128, 30, 4, "#ffffff90")
    c.polygon(smooth([(84, 104), (104, 86), (152, 86), (172, 104), (154, 124), (102, 124)]), glossy(body))
    _glass(c, 128, 126, 16, "#3a3a46")
    c.circle(98, 104, 4, "#ff5a4a")
    c.circle(158, 104, 4, "#5fd06a")
    return c


def guitar(body: str, neck: str, wall: str, strings: int = 6) -> Canvas:
    """An acoustic guitar, or with four strings a ukulele."""
    c = studio(wall)
    c.shadow(128, 236, 62)
    small = strings < 6
    top = 36 if small else 8
    half = 13 if small else 10
    c.rect(128 - half, top + 30, 2 * half, 120, glossy(neck), 2)
    for y in range(top + 44, 140, 15):
        c.line([(128 - half, y), (128 + half, y)], "#d9c9a0", 1.5)
    head = [
        (128 - half - 5, top),
        (128 + half + 5, top),
        (128 + half + 1, top + 34),
        (128 - half - 1, top + 34),
    ]
    c.polygon(head, glossy(shade(neck, 0.2)))
    for i in range(strings // 2):
        y = top + 7 + i * 10
        for side in (-1, 1):
            c.circle(128 + side * (half + 9), y, 3.5, "#e9e4da")
    right = [(128, 112), (158, 114), (172, 136), (166, 160), (186, 186), (178, 222), (128, 236)]
    outline = smooth([*right, *((256 - x, y) for x, y in reversed(right[1:-1]))])
    edge = [(128 + (x - 128) * 1.05, 176 + (y - 176) * 1.04) for x, y in outline]
    c.polygon(edge, shade(body, 0.5))
    c.polygon(outline, glossy(body))
    c.circle(128, 156, 20, shade(body, 0.6))
    c.circle(128, 156, 16, "#2a1a14")
    c.rect(128 - half, 112, 2 * half, 28, neck)
    c.rect(102, 200, 52, 9, shade(neck, 0.3), 3)
    for i in range(strings):
        x = 128 - half + 3 + i * (2 * half - 6) / (strings - 1)
        c.line([(x, top + 20), (x, 204)], "#fff6dcc0", 1)
    return c


def electric_guitar(body: str, plate: str, wall: str) -> Canvas:
    """A solid-body electric guitar."""
    c = studio(wall)
    c.shadow(128, 240, 58)
    c.polygon([(112, 10), (146, 2), (150, 16), (138, 46), (118, 46)], glossy("#8a5a34"))
    for i in range(6):
        c.circle(150 - i * 1.6, 8 + i * 6, 3, "#d9d9e2")
    c.rect(118, 44, 20, 120, glossy("#4a2c1c"), 2)
    for y in range(54, 140, 13):
        c.line([(118, y), (138, y)], "#d9d9e2", 1.5)
    c.polygon(
        smooth(
            [
                (96, 128),
                (112, 146),
                (128, 150),
                (146, 146),
                (166, 112),
                (178, 122),
                (170, 156),
                (180, 196),
                (164, 232),
                (128, 240),
                (88, 232),
                (74, 196),
                (86, 162),
                (80, 132),
            ]
        ),
        glossy(body),
    )
    c.polygon(smooth([(112, 152), (146, 152), (162, 186), (156, 218), (136, 196), (110, 200)]), plate)
    c.rect(118, 128, 20, 34, "#4a2c1c")
    for y in (168, 192):
        c.rect(110, y, 36, 13, "#2c2a33", 3)
        for x in (116, 122, 128, 134, 140):
            c.circle(x, y + 6.5, 1.6, "#d9d9e2")
    c.rect(106, 214, 44, 9, ("#f2f3f6", "#9fa3ad"), 3)
    for x, y in ((160, 202), (152, 226)):
        c.circle(x, y, 5, "#f2c14e")
    for i in range(6):
        c.line([(121 + i * 2.8, 40), (121 + i * 2.8, 216)], "#ffffffb0", 0.8)
    return c


def piano(case: str, wall: str, sheet: bool = False) -> Canvas:
    """A piano keyboard on its stand, perhaps with music on the rest."""
    c = studio(wall)
    c.shadow(128, 234, 100)
    for x in (44, 198):
        c.rect(x, 160, 14, 74, glossy(shade(case, 0.3)), 3)
    if sheet:
        for x in (76, 130):
            c.rect(x, 40, 52, 66, ("#ffffff", "#efe9da"), 2)
            for y in (54, 74, 94):
                for i in range(3):
                    c.line([(x + 6, y + i * 3), (x + 46, y + i * 3)], "#9a9aa4", 0.7)
                for i in range(3):
                    c.ellipse(x + 13 + i * 13, y + (i * 5) % 8, 3, 2.2, _DARK)
    c.rect(22, 98, 212, 40, glossy(case), 6)
    for i, colour in enumerate(("#e2533c", "#f2c14e", "#5fd0c0")):
        c.circle(44 + i * 14, 118, 4, colour)
    c.rect(22, 136, 212, 44, shade(case, 0.35), 6)
    for i in range(14):
        x = 30 + i * 14
        c.rect(x, 136, 13, 38, ("#ffffff", "#e6e2d8"), 2)
    for i in range(13):
        if i % 7 not in (2, 6):
            c.rect(39 + i * 14, 136, 9, 23, ("#3a3a46", "#15151c"), 2)
    return c


def headphones(shell: str, cushion: str, wall: str) -> Canvas:
    """Over-ear headphones."""
    c = studio(wall)
    c.shadow(128, 216, 84)
    c.line(arc(128, 138, 80, 96, 180, 360), glossy(shell), 17)
    c.line(arc(128, 134, 70, 84, 205, 335), glossy(cushion), 9)
    for side in (-1, 1):
        x = 128 + side * 80
        c.rect(x - 24 - side * 12, 126, 34 + 14, 84, glossy(cushion), 20)
        c.rect(x - 20 + side * 6, 122, 40, 92, glossy(shell), 19)
        c.ellipse(x + side * 8, 168, 8, 24, shade(shell, 0.14))
    return c


def turntable(case: str, label: str, wood: str) -> Canvas:
    """A record on a turntable, seen from above."""
    c = tabletop(wood)
    c.shadow(134, 140, 112, 96)
    c.rect(18, 34, 220, 188, glossy(case), 12)
    c.circle(108, 128, 82, "#4a4a55")
    c.circle(108, 128, 78, ("#2c2c36", "#101016"))
    for radius in (70, 62, 54, 46, 38):
        c.line(arc(108, 128, radius, radius), "#44444f", 1)
    c.line(arc(108, 128, 58, 58, 200, 240), "#8a8a96", 7)
    c.circle(108, 128, 27, glossy(label))
    c.circle(108, 128, 4, "#f4efe2")
    c.circle(206, 66, 18, ("#d9d9e2", "#8b8b96"))
    c.line([(206, 66), (204, 150), (166, 176)], "#d9d9e2", 6)
    c.polygon(turn([(154, 168), (172, 168), (172, 186), (154, 186)], 30, (163, 177)), _DARK)
    c.circle(210, 198, 10, ("#f2f3f6", "#9fa3ad"))
    return c


def metronome(wood: str, wall: str) -> Canvas:
    """A pyramid metronome in mid-tick."""
    c = studio(wall)
    c.shadow(128, 210, 72)
    c.polygon([(108, 46), (148, 46), (192, 196), (64, 196)], glossy(wood))
    c.polygon([(114, 64), (142, 64), (170, 172), (86, 172)], ("#f6e6cb", "#e2c894"))
    for y in range(76, 166, 10):
        c.line([(122, y), (134, y)], shade(wood, 0.2), 1.5)
    c.rect(56, 192, 144, 16, glossy(shade(wood, 0.25)), 4)
    c.line([(128, 172), (170, 52)], "#c9ccd4", 4)
    c.polygon(turn([(148, 84), (166, 84), (163, 104), (151, 104)], 19, (157, 94)), glossy("#d9a441"))
    c.rect(80, 168, 96, 12, shade(wood, 0.1), 2)
    return c
