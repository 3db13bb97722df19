// SPDX-License-Identifier: Apache-2.0
// TILES(X): X(rows) for every height of a gemm tile. Needs MR, that of the largest, a literal.
#if MR == 14
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif MR == 8
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#elif MR == 6
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#elif MR == 4
#define TILES(X) X(1) X(2) X(3) X(4)
#endif
