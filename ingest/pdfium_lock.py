"""PDFium may be entered by one thread at a time; every caller holds this lock."""

from __future__ import annotations

import threading

PDFIUM = threading.RLock()
