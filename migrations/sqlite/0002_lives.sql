-- Lives of the data directory that a restore began: what the directory held then is of `state_of`, and what came later before it is lost.
CREATE TABLE lives (
    life INTEGER NOT NULL PRIMARY KEY,
    state_of TEXT NOT NULL
) STRICT;
