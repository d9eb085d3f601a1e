"""WHAT MUST COME OUT: closed forms and bounds that instruments are checked against; numbers in, numbers out."""
