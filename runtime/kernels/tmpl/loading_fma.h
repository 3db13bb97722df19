// SPDX-License-Identifier: Apache-2.0
// Template: v_fma_load1(a, b, c), *a * b + c, and whether it is one instruction (LOADING_FMA), on
// the vectors of the file that includes it. Register tiles whose rows meet two vectors use it for
// every second row. With none of them a tile is more instructions than a core that is shared by two
// threads works off in time; with all of them it waits for the ports that load.
#ifdef BNR_LOADING_FMA
enum { LOADING_FMA = 1 };
#else
enum { LOADING_FMA = 0 };
#define v_fma_load1(a, b, c) v_fma(v_set1(*(a)), b, c)
#endif
