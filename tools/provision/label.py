"""The label of a wallbox as a PDF: black on white for a thermal printer, 70 x 36 mm, nothing but what pairing needs."""

from pathlib import Path

import reportlab
import segno
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from provision.identity import Identity, ProvisionError

WIDTH_MM, HEIGHT_MM = 70.0, 36.0
# White around everything; printers that tear labels off are out by up to 1.5 mm.
MARGIN_MM = 4.0
# The dark part of the symbol. ISO/IEC 18004 wants four modules of white around it: with the 33 modules of a usual
# serial number these are 3.2 mm, within margin and gap.
QR_MM = 26.4
QR_BOTTOM_MM = (HEIGHT_MM - QR_MM) / 2
# A quarter of the symbol may be scratched.
QR_ERROR = "q"
TEXT_MM = MARGIN_MM + QR_MM + 4.0
# Embedded, so that every printer has them: Bitstream Vera, which comes with reportlab.
FONT, BOLD = "Vera", "VeraBd"
SMALL_PT = 5.6


def qr_text(identity: Identity) -> str:
    """What the QR code says: WALLBOX:1;S=serial;K=passkey;; (docs/production.md)."""
    return f"WALLBOX:1;S={identity.serial};K={identity.passkey};;"


def qr_code(identity: Identity) -> segno.QRCode:
    """The symbol."""
    return segno.make_qr(qr_text(identity), error=QR_ERROR, boost_error=False)


def write(path: Path, identity: Identity) -> None:
    """Make the PDF, for its owner's eyes alone; ProvisionError when it cannot be written."""
    fonts = Path(reportlab.__file__).parent / "fonts"
    for name in (FONT, BOLD):
        registerFont(TTFont(name, str(fonts / f"{name}.ttf")))
    # `invariant`: the same wallbox has the same bytes, whenever the label is printed again.
    # The first font is said here, since reportlab's own would not be embedded; its type there is a mistake.
    first = {"initialFontName": FONT}
    canvas = Canvas(str(path), pagesize=(WIDTH_MM * mm, HEIGHT_MM * mm), invariant=1, **first)  # pyright: ignore
    canvas.setTitle(f"wallbox {identity.serial}")
    canvas.setAuthor("wallbox provision")
    canvas.setSubject("label")
    _draw_qr(canvas, identity)
    _draw_text(canvas, identity)
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        canvas.save()
    except OSError as error:
        raise ProvisionError(f"label {path}: cannot be written ({error.strerror})") from error


def _draw_qr(canvas: Canvas, identity: Identity) -> None:
    """The symbol as runs of dark modules: bars without seams, at any resolution."""
    matrix = [bytes(row) for row in qr_code(identity).matrix]
    module = QR_MM * mm / len(matrix)
    left, top = MARGIN_MM * mm, (QR_BOTTOM_MM + QR_MM) * mm
    path = canvas.beginPath()
    for line, row in enumerate(matrix):
        column = 0
        while column < len(row):
            run = 0
            while column + run < len(row) and row[column + run]:
                run += 1
            if run:
                path.rect(left + column * module, top - (line + 1) * module, run * module, module)
            column += run + 1
    canvas.drawPath(path, stroke=0, fill=1)


def _lines(identity: Identity) -> tuple[tuple[str, str, float, float], ...]:
    """Text, font, size in pt, baseline in mm: the first line is as high as the symbol, the last stands on its foot."""
    return (
        ("wallbox", BOLD, 12.0, 28.0),
        ("Serial number", FONT, SMALL_PT, 24.2),
        (identity.serial, BOLD, 9.0, 20.8),
        ("Passkey", FONT, SMALL_PT, 17.3),
        (f"{identity.passkey[:3]} {identity.passkey[3:]}", BOLD, 19.0, 11.2),
        ("Scan or type this to set it up.", FONT, SMALL_PT, QR_BOTTOM_MM + 2.4),
        ("Keep it out of sight.", FONT, SMALL_PT, QR_BOTTOM_MM),
    )


def _draw_text(canvas: Canvas, identity: Identity) -> None:
    room = (WIDTH_MM - TEXT_MM - MARGIN_MM) * mm
    for text, font, size, baseline_mm in _lines(identity):
        # A long serial number is set smaller rather than cut off.
        width = canvas.stringWidth(text, font, size)
        canvas.setFont(font, size if width <= room else size * room / width)
        canvas.drawString(TEXT_MM * mm, baseline_mm * mm, text)
