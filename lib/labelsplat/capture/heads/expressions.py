"""FaceScape's twenty expressions, by name, as mixes of facial actions.

Action names are those of the facial-action targets (ARKit's names); left and right are the
subject's. Weights are those of the full expression; an identity shows a share of it.
"""

from __future__ import annotations


def _both(**weights: float) -> dict[str, float]:
    """The same weight on the left and the right action of each name."""
    return {f"{name}{side}": w for name, w in weights.items() for side in ("Left", "Right")}


EXPRESSIONS: dict[str, dict[str, float]] = {
    "1_neutral": {},
    "2_smile": _both(mouthSmile=0.95, cheekSquint=0.4, eyeSquint=0.15),
    "3_mouth_stretch": {"jawOpen": 0.75, **_both(mouthLowerDown=0.25, mouthUpperUp=0.3)},
    "4_anger": _both(browDown=1.3, noseSneer=0.6, eyeSquint=0.35, mouthPress=0.8),
    "5_jaw_left": {"jawLeft": 0.9},
    "6_jaw_right": {"jawRight": 0.9},
    "7_jaw_forward": {"jawForward": 0.9},
    "8_mouth_left": {"mouthLeft": 0.8},
    "9_mouth_right": {"mouthRight": 0.8},
    "10_dimpler": _both(mouthDimple=0.9, mouthPress=0.2),
    "11_chin_raiser": {"mouthShrugLower": 0.8, "mouthShrugUpper": 0.35, **_both(mouthFrown=0.15)},
    "12_lip_puckerer": {"mouthPucker": 0.8},
    "13_lip_funneler": {"mouthFunnel": 0.8, "jawOpen": 0.12},
    "14_sadness": {"browInnerUp": 1.1, **_both(mouthFrown=0.9, eyeSquint=0.15)},
    "15_lip_roll": {"mouthRollLower": 0.7, "mouthRollUpper": 0.7},
    "16_grin": {
        "jawOpen": 0.14,
        **_both(
            mouthSmile=0.8, mouthUpperUp=0.7, mouthLowerDown=0.45, cheekSquint=0.4, eyeSquint=0.2
        ),
    },
    "17_cheek_blowing": {"cheekPuff": 1.1, **_both(mouthPress=0.3)},
    "18_eye_closed": _both(eyeBlink=1.0),
    "19_brow_raiser": {"browInnerUp": 1.1, **_both(browOuterUp=1.1, eyeWide=0.35)},
    "20_brow_lower": _both(browDown=1.3, eyeSquint=0.25),
}
"""Weights of the facial actions in each expression, in FaceScape's order."""

SAMPLING = {name: 1.0 for name in EXPRESSIONS} | {
    # About half of all heads are neutral. The inside of the mouth shows in four expressions only,
    # so these come oftener: a parser must see that class.
    "1_neutral": 26.0,
    "2_smile": 2.0,
    "3_mouth_stretch": 3.0,
    "13_lip_funneler": 2.0,
    "16_grin": 3.0,
}
"""Relative frequency of each expression among sampled identities."""
