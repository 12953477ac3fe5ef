"""Every bound and every default of linkd: the unit in the name, the reason below it.

One file for each subject; everybody imports from here (`from linkd.limits import LEASE_S`), so that a number may move from one to the other.
What must hold between numbers is asserted at the end of the file that knows both; all may know `values`, which knows nobody.
"""

from __future__ import annotations

from linkd.limits.adapters import *
from linkd.limits.delivery import *
from linkd.limits.operation import *
from linkd.limits.questions import *
from linkd.limits.roads import *
from linkd.limits.storage import *
from linkd.limits.units import *
from linkd.limits.values import *
