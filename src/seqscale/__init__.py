"""seqscale measures how a sequence layer's time, memory, parallelism and recall scale with sequence length.

seqscale.run("quick")                     measure a study, judge its claims, write a report
seqscale.measure("time", "gru")           one cell
seqscale.trace("gru")                     exact laws of work, span and memory, nothing executed
seqscale.machine()                        what this machine can do at best
seqscale.claims("seqscale.db")            the verdicts of a store
"""

from seqscale.api import Status as Status
from seqscale.api import claims as claims
from seqscale.api import export as export
from seqscale.api import measure as measure
from seqscale.api import report as report
from seqscale.api import run as run
from seqscale.api import status as status
from seqscale.ceilings import machine as machine
from seqscale.listing import list as list
from seqscale.store.store import Store as Store
from seqscale.surveys.verb import trace as trace
