"""Laws of any module: counts at sizes chosen here, solved and held out, with nothing executed."""
