"""`python -m hwsim`."""

from __future__ import annotations

import sys

from hwsim.cli import main

sys.exit(main())
