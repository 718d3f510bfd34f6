// The kernels of `kernels/` without a C library: the measured region is between two imports, and the
// result is compared here.
#pragma once
typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned uint32_t; typedef unsigned long long uint64_t;
typedef signed char int8_t; typedef short int16_t; typedef int int32_t; typedef long long int64_t;
typedef __SIZE_TYPE__ size_t; typedef __UINTPTR_TYPE__ uintptr_t;
#define NULL ((void*)0)
__attribute__((import_module("bench"), import_name("start"))) void bench_start(void);
__attribute__((import_module("bench"), import_name("end"))) void bench_end(void);
int main();
__attribute__((export_name("_start"))) void _start(void) { main(); }
#define memset __builtin_memset
#define memcpy __builtin_memcpy
#define BSTART bench_start();
#define BEND(fmt, x) do { bench_end(); if ((x) != (EXPECT)) __builtin_trap(); } while (0)
#define NOINL __attribute__((noinline))
// 128-bit products, as the compiler's library has them.
__attribute__((used)) unsigned __int128 __multi3(unsigned __int128 a, unsigned __int128 b) {
    uint64_t x = (uint64_t)a, y = (uint64_t)b, m = 0xffffffffu;
    uint64_t low = (x & m) * (y & m), t = low >> 32;
    low &= m;
    t += (x >> 32) * (y & m);
    low += (t & m) << 32;
    uint64_t high = t >> 32;
    t = low >> 32;
    low &= m;
    t += (y >> 32) * (x & m);
    low += (t & m) << 32;
    high += t >> 32;
    high += (x >> 32) * (y >> 32);
    high += (uint64_t)(a >> 64) * y + x * (uint64_t)(b >> 64);
    union { unsigned __int128 whole; uint64_t half[2]; } r;
    r.half[0] = low; r.half[1] = high;
    return r.whole;
}
