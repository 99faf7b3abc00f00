"""Motifs of hiking, camping, skiing, running and the beach kit."""

from .canvas import Canvas, Fill, Points, arc, bezier, glossy, shade, smooth, studio, tint, turn


def tent(body: str, sky: Fill, ground: str, tunnel: bool = False, water: str | None = None) -> Canvas:
    """A pitched tent, a ridge tent or a long tunnel tent, perhaps before a lake or the sea."""
    c = Canvas(sky)
    c.circle(204, 52, 20, "#fff4cf")
    c.polygon(
        [(0, 150), (50, 92), (92, 130), (150, 76), (214, 128), (256, 104), (256, 170), (0, 170)],
        shade(ground, 0.35),
    )
    c.rect(0, 158, 256, 98, (tint(ground, 0.1), shade(ground, 0.2)))
    if water is not None:
        c.rect(0, 148, 256, 32, (tint(water, 0.3), water))
        for x, y in ((30, 158), (120, 166), (196, 156)):
            c.line([(x, y), (x + 30, y)], "#ffffffa0", 2)
    for x, y, size in ((22, 178, 1.1), (50, 172, 0.8), (238, 180, 1.2)):
        _pine(c, x, y, size)
    c.shadow(128, 222, 96)
    if tunnel:
        c.polygon(smooth([(38, 220), (48, 142), (92, 108), (172, 112), (220, 150), (230, 220)]), glossy(body))
        for x in (92, 136, 180):
            c.line(bezier((x - 16, 112), (x + 16, 132), (x + 26, 180), (x + 24, 220)), shade(body, 0.3), 3)
        c.polygon(smooth([(30, 222), (36, 160), (62, 136), (90, 162), (98, 222)]), tint(body, 0.3))
        c.polygon(smooth([(46, 222), (50, 176), (63, 160), (78, 178), (84, 222)]), shade(body, 0.6))
        c.rect(118, 142, 28, 18, tint(body, 0.7), 5)
    else:
        c.polygon([(26, 220), (104, 110), (160, 116), (232, 220)], (shade(body, 0.05), shade(body, 0.3)))
        c.polygon([(26, 220), (104, 110), (166, 220)], glossy(tint(body, 0.1)))
        c.polygon([(74, 220), (104, 126), (126, 220)], shade(body, 0.65))
        c.polygon([(104, 126), (126, 220), (146, 220)], tint(body, 0.35))
    for a, b in (((40, 204), (8, 228)), ((222, 204), (250, 228))):
        c.line([a, b], "#f4efe2", 1.5)
    return c


def _pine(c: Canvas, x: float, y: float, size: float, colour: str = "#2f6046") -> None:
    c.rect(x - 3 * size, y - 6 * size, 6 * size, 16 * size, "#6b4a30")
    for i in range(3):
        half, top = (20 - 4 * i) * size, y - (28 + 18 * i) * size
        c.polygon([(x - half, top + 28 * size), (x + half, top + 28 * size), (x, top)], glossy(colour))


def boots(leather: str, laces: str, sky: Fill) -> Canvas:
    """A hiking boot on a rock before hills."""
    c = Canvas(sky)
    c.polygon(
        smooth([(-30, 180), (40, 110), (90, 140), (150, 96), (220, 130), (290, 120), (290, 270), (-30, 270)]),
        "#7fa78c",
    )
    c.polygon(
        smooth([(-20, 230), (30, 204), (128, 196), (230, 206), (280, 240), (260, 290), (0, 290)]),
        ("#8d8a86", "#65625f"),
    )
    c.shadow(132, 214, 92)
    body = smooth([(70, 62), (132, 58), (140, 110), (176, 138), (222, 158), (228, 192), (70, 194), (62, 130)])
    c.polygon(body, glossy(leather))
    c.polygon(smooth([(176, 140), (222, 158), (230, 192), (172, 194), (164, 166)]), shade(leather, 0.25))
    c.polygon(smooth([(62, 150), (92, 158), (96, 194), (66, 196)]), shade(leather, 0.25))
    c.rect(62, 52, 76, 20, glossy(shade(leather, 0.3)), 9)
    for x, y in ((134, 88), (140, 108), (152, 124), (168, 138)):
        c.line([(x - 26, y + 8), (x, y)], laces, 5)
        c.circle(x - 28, y + 9, 4, "#d9d4c8")
    c.polygon(smooth([(60, 190), (140, 194), (230, 188), (236, 208), (140, 212), (60, 212)]), "#2c2a33")
    for x in range(70, 226, 20):
        c.rect(x, 206, 12, 9, "#2c2a33", 2)
    return c


def backpack(body: str, trim: str, wall: str, mat: str | None = None) -> Canvas:
    """A rucksack, with a rolled mat on top if one is given."""
    c = studio(wall)
    c.shadow(128, 212, 78)
    c.line(bezier((104, 52), (104, 22), (152, 22), (152, 52)), shade(body, 0.4), 8)
    c.rect(62, 46, 132, 164, glossy(body), 34)
    for x in (46, 188):
        c.rect(x, 132, 22, 66, glossy(shade(body, 0.2)), 10)
    c.polygon(
        smooth([(64, 64), (90, 38), (166, 38), (192, 64), (186, 104), (128, 112), (70, 104)]),
        glossy(shade(body, 0.15)),
    )
    c.rect(78, 132, 100, 66, glossy(tint(body, 0.1)), 16)
    c.line([(88, 146), (168, 146)], trim, 4)
    c.line([(160, 146), (160, 158)], trim, 4)
    for x in (100, 156):
        c.rect(x - 5, 90, 10, 40, trim, 3)
        c.rect(x - 8, 112, 16, 10, "#e9e4da", 3)
    if mat is not None:
        c.rect(50, 22, 156, 32, glossy(mat), 15)
        for x in (96, 160):
            c.rect(x - 4, 20, 8, 36, trim, 2)
    return c


def _snow_scene(sky: Fill) -> Canvas:
    c = Canvas(sky)
    c.polygon([(-10, 190), (66, 70), (110, 130), (170, 48), (270, 190)], ("#ffffff", "#a9c0dc"))
    c.polygon([(170, 48), (270, 190), (196, 190), (184, 120)], "#8fa9cc80")
    c.polygon([(66, 70), (110, 130), (126, 190), (84, 190)], "#8fa9cc80")
    c.polygon(
        smooth([(-40, 200), (60, 178), (160, 190), (300, 172), (300, 290), (-40, 290)]),
        ("#ffffff", "#dfe9f5"),
    )
    return c


def skis(colour: str, accent: str, sky: Fill, short: bool = False) -> Canvas:
    """A pair of skis with poles, upright in the snow."""
    c = _snow_scene(sky)
    top = 72.0 if short else 22.0
    for x, lean in ((72, -8), (190, 8)):
        pole = turn([(x, top + 34), (x, 226)], lean, (x, 226))
        c.line(pole, "#55555f", 4)
        c.line(turn([(x, top + 30), (x, top + 54)], lean, (x, 226)), "#2c2a33", 8)
        c.ellipse(*turn([(x, 208)], lean, (x, 226))[0], 10, 4, "#2c2a33")
    for x, lean in ((112, -3), (148, 3)):
        ski = [
            *arc(x, top + 16, 14, 22, 180, 360),
            (x + 11, 150),
            (x + 13, 236),
            (x - 13, 236),
            (x - 11, 150),
        ]
        c.polygon(turn([(px + 5, py + 2) for px, py in ski], lean, (x, 236)), "#16142e30")
        c.polygon(turn(ski, lean, (x, 236)), glossy(colour))
        for y in (top + 30, top + 48):
            band = [(x - 12, y + 10), (x + 12, y - 4), (x + 12, y + 6), (x - 12, y + 20)]
            c.polygon(turn(band, lean, (x, 236)), accent)
        c.polygon(turn([(x - 9, 142), (x + 9, 142), (x + 9, 184), (x - 9, 184)], lean, (x, 236)), "#2c2a33")
        c.polygon(turn([(x - 7, 150), (x + 7, 150), (x + 7, 160), (x - 7, 160)], lean, (x, 236)), "#d9d9e2")
    c.polygon(smooth([(60, 232), (100, 222), (160, 222), (206, 234), (180, 262), (80, 262)]), "#ffffff")
    return c


def snowboard(colour: str, accent: str, sky: Fill) -> Canvas:
    """A snowboard leaning in the snow, with a mountain painted on it."""
    c = _snow_scene(sky)
    board = [*arc(128, 52, 35, 36, 180, 360), (158, 128), *arc(128, 216, 35, 36, 0, 180), (98, 128)]
    c.polygon(turn([(x + 8, y + 4) for x, y in board], 12), "#16142e40")
    c.polygon(turn(board, 12), (tint(colour, 0.25), shade(colour, 0.3)))
    c.circle(*turn([(128, 60)], 12)[0], 15, accent)
    c.polygon(turn([(98, 124), (118, 78), (130, 98), (142, 84), (158, 124)], 12), tint(colour, 0.7))
    c.polygon(
        turn([(98, 124), (112, 104), (134, 126), (158, 118), (158, 132), (98, 136)], 12), shade(colour, 0.4)
    )
    for y in (110, 176):
        c.polygon(turn([(92, y), (164, y), (164, y + 22), (92, y + 22)], 12), "#2c2a33")
        c.polygon(turn([(104, y - 9), (152, y - 9), (152, y + 4), (104, y + 4)], 12), "#4a4a55")
    c.polygon(smooth([(40, 240), (90, 224), (150, 232), (180, 246), (140, 276), (60, 276)]), "#ffffff")
    return c


def goggles(lens: Fill, strap: str, sky: Fill) -> Canvas:
    """Ski goggles whose lens mirrors the mountains."""
    c = _snow_scene(sky)
    c.shadow(128, 196, 92)
    c.polygon([(0, 112), (70, 104), (70, 148), (0, 142)], glossy(strap))
    c.polygon([(256, 112), (186, 104), (186, 148), (256, 142)], glossy(strap))
    for y in (120, 132):
        c.line([(0, y), (60, y - 2)], "#ffffffb0", 3)
        c.line([(256, y), (196, y - 2)], "#ffffffb0", 3)
    frame = [
        (34, 98),
        (72, 74),
        (128, 70),
        (184, 74),
        (222, 98),
        (224, 142),
        (196, 178),
        (156, 176),
        (128, 158),
        (100, 176),
        (60, 178),
        (32, 142),
    ]
    inner = [(128 + (x - 128) * 0.88, 124 + (y - 124) * 0.82) for x, y in frame]
    c.polygon(smooth(frame), ("#3a3a46", "#1e1e28"))
    c.polygon(smooth(inner), lens)
    c.polygon(
        [(70, 150), (104, 108), (122, 130), (150, 98), (190, 150), (160, 156), (128, 144), (96, 156)],
        "#ffffff50",
    )
    c.line(bezier((60, 112), (80, 92), (104, 88), (124, 86)), "#ffffffb0", 6)
    return c


def running_shoe(colour: str, sole: str, accent: str, wall: str) -> Canvas:
    """A running shoe, side view."""
    c = studio(wall)
    c.shadow(128, 206, 106)
    upper: Points = [
        (34, 92),
        (58, 86),
        (78, 108),
        (110, 116),
        (136, 96),
        (160, 122),
        (208, 144),
        (230, 172),
        (206, 184),
        (60, 184),
        (30, 168),
    ]
    c.polygon(smooth(upper), glossy(colour))
    c.polygon(smooth([(30, 150), (56, 140), (72, 160), (70, 186), (32, 184)]), shade(colour, 0.25))
    c.polygon(smooth([(190, 142), (216, 152), (232, 174), (208, 186), (186, 182)]), shade(colour, 0.2))
    c.polygon(smooth([(36, 90), (58, 84), (78, 106), (66, 116), (40, 108)]), shade(colour, 0.5))
    for x, y in ((140, 102), (152, 114), (166, 125), (180, 133)):
        c.line([(x - 20, y + 16), (x, y)], "#ffffff", 4.5)
    c.line(bezier((62, 168), (96, 176), (120, 160), (140, 128)), accent, 9)
    c.line(bezier((80, 178), (116, 182), (140, 168), (158, 140)), accent, 6)
    c.polygon(
        smooth(
            [
                (22, 172),
                (60, 180),
                (140, 184),
                (228, 170),
                (242, 184),
                (220, 204),
                (120, 208),
                (30, 204),
                (16, 188),
            ]
        ),
        (tint(sole, 0.4), sole),
    )
    c.line(bezier((24, 194), (80, 200), (170, 200), (234, 190)), accent, 3)
    return c


def watch(case: str, strap: str, wall: str) -> Canvas:
    """A sports watch showing a track on its map."""
    c = studio(wall)
    c.shadow(128, 226, 60)
    c.polygon([(92, 12), (164, 12), (172, 80), (84, 80)], glossy(strap))
    c.polygon([(84, 170), (172, 170), (164, 236), (92, 236)], glossy(strap))
    for y in (196, 210, 224):
        c.ellipse(128, y, 5, 3, shade(strap, 0.5))
    for y in (98, 144):
        c.rect(192, y, 13, 18, glossy(shade(case, 0.1)), 4)
    c.circle(128, 126, 70, glossy(case))
    c.circle(128, 126, 58, "#141a24")
    c.polygon(smooth([(90, 110), (120, 90), (160, 96), (176, 130), (150, 168), (104, 160)]), "#24463a")
    c.line(bezier((92, 150), (110, 90), (140, 170), (166, 104)), "#ff8a3d", 5)
    c.circle(166, 104, 6, "#ffffff")
    c.line(arc(128, 126, 52, 52, -90, 150), "#5fd0c0", 5)
    return c


def surfboard(colour: str, stripe: str, sky: Fill, sand: str) -> Canvas:
    """A surfboard stuck in the sand before the waves."""
    c = Canvas(sky)
    c.rect(0, 130, 256, 60, ("#3f9ab8", "#5fc0c8"))
    for y, shift in ((146, 0), (164, 40), (180, 10)):
        for x in range(-20 + shift, 256, 84):
            c.line(bezier((x, y), (x + 16, y - 6), (x + 30, y + 4), (x + 46, y)), "#ffffffb0", 3)
    c.polygon(smooth([(-30, 196), (60, 186), (160, 196), (290, 184), (290, 290), (-30, 290)]), glossy(sand))
    c.shadow(160, 228, 70)
    board = bezier((128, 12), (176, 60), (176, 170), (150, 232))
    outline = board + [(256 - x, y) for x, y in reversed(board)]
    c.polygon(turn(outline, 8, (128, 230)), glossy(colour))
    c.line(turn([(128, 24), (128, 228)], 8, (128, 230)), stripe, 6)
    for y in (80, 96):
        c.line(
            turn(bezier((100, y + 10), (120, y - 4), (136, y - 4), (156, y + 10)), 8, (128, 230)), stripe, 6
        )
    c.polygon(smooth([(84, 232), (110, 222), (150, 222), (176, 234), (150, 252), (100, 252)]), sand)
    return c


def bucket(colour: str, spade: str, sand: str) -> Canvas:
    """A beach bucket and spade next to a sand castle."""
    c = Canvas(("#8fd3ee", "#d9f1f5"))
    c.rect(0, 120, 256, 40, ("#3fa6c4", "#6cc6cf"))
    c.rect(0, 152, 256, 104, (tint(sand, 0.15), sand))
    c.shadow(176, 220, 66)
    for x in (142, 176, 210):
        c.rect(x - 15, 132, 30, 84, (tint(sand, 0.1), shade(sand, 0.22)))
        for dx in (-14, -3, 8):
            c.rect(x + dx, 124, 7, 10, tint(sand, 0.05))
    c.rect(130, 166, 94, 54, (shade(sand, 0.04), shade(sand, 0.25)))
    c.polygon([(176, 96), (206, 106), (176, 116)], "#d9433f")
    c.line([(176, 96), (176, 126)], "#6b4a30", 3)
    c.rect(166, 190, 20, 30, shade(sand, 0.5), 9)
    c.shadow(78, 228, 50)
    c.line(arc(76, 154, 40, 52, 180, 360), "#f4efe2", 5)
    c.polygon([(32, 152), (120, 152), (106, 230), (46, 230)], glossy(colour))
    c.ellipse(76, 152, 45, 9, tint(colour, 0.45))
    c.polygon(turn([(x * 1.0, y * 1.0) for x, y in arc(76, 192, 18, 18)[::18]], -18, (76, 192)), "#ffe08a")
    c.line([(120, 100), (110, 196)], "#c98a4a", 7)
    c.line([(110, 98), (131, 102)], "#c98a4a", 7)
    c.polygon(smooth([(98, 190), (124, 192), (122, 224), (108, 236), (96, 222)]), glossy(spade))
    return c
