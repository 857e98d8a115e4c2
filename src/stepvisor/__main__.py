"""``python -m stepvisor``."""

import sys

from stepvisor.cli import main

sys.exit(main())
