// SPDX-License-Identifier: Apache-2.0
// Compiler-specific spelling, kept in this one place.
#ifndef BNR_BASE_COMPILER_H
#define BNR_BASE_COMPILER_H

#if defined(__GNUC__)
#define BNR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define BNR_NODISCARD __attribute__((warn_unused_result))
#define BNR_LIKELY(x) __builtin_expect(!!(x), 1)
#define BNR_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define BNR_INLINE static inline __attribute__((always_inline))
#define BNR_ANY_ADDRESS __attribute__((aligned(1))) // on a typedef: for what may lie anywhere in memory
#define BNR_TYPEOF(x) __typeof__(x)
#else
#define BNR_PRINTF(fmt, first)
#define BNR_NODISCARD
#define BNR_LIKELY(x) (x)
#define BNR_UNLIKELY(x) (x)
#define BNR_INLINE static inline
#define BNR_ANY_ADDRESS
#endif

// In front of a loop of at most 32 turns, their number a constant: no loop is left, so that arrays indexed
// by it can live in registers.
#if defined(__clang__)
#define BNR_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define BNR_UNROLL _Pragma("GCC unroll 32")
#else
#define BNR_UNROLL
#endif

#define BNR_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__x86_64__)
#define BNR_ARCH_X86 1
#else
#define BNR_ARCH_X86 0
#endif
#if defined(__aarch64__)
#define BNR_ARCH_ARM64 1
#else
#define BNR_ARCH_ARM64 0
#endif

// AddressSanitizer knows what lies around a block only of those that the C library gives.
#if defined(__SANITIZE_ADDRESS__)
#define BNR_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BNR_SANITIZED 1
#endif
#endif

// Every tensor buffer that the runtime allocates starts at this alignment and may be read this many
// bytes past its end (never written), so that kernels can load whole vectors at the edge.
enum { BNR_TENSOR_ALIGN = 64, BNR_TENSOR_PAD = 64 };

#endif
