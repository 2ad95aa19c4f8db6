/* Vectors of eight doubles: one point a lane. The names of the operations are numpy's. */
#include <cmath>
#include <cstring>
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define WIDE
#define ROUNDED(x) asm("" : "+v"(x))
#include <immintrin.h>
#endif
#if !defined(WIDE)
#define ROUNDED(x)
#endif
typedef double V __attribute__((vector_size(64)));
typedef double U __attribute__((vector_size(64), aligned(8)));
typedef long long M __attribute__((vector_size(64)));
#define EACH(name, f) static inline V v_##name(V a) { V r; for (int i = 0; i < 8; i++) r[i] = f(a[i]); return r; }
static inline V all(double x) { return V{} + x; }
#if defined(WIDE)
static inline V v_maximum(V a, V b) { return (V)_mm512_max_pd((__m512d)a, (__m512d)b); }
static inline V v_minimum(V a, V b) { return (V)_mm512_min_pd((__m512d)a, (__m512d)b); }
static inline V v_ceil(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 10); }
static inline V v_floor(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 9); }
static inline V v_trunc(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 11); }
static inline V v_rint(V a) { return (V)_mm512_roundscale_pd((__m512d)a, 8); }
static inline V v_sqrt(V a) { return (V)_mm512_sqrt_pd((__m512d)a); }
static inline V v_absolute(V a) { return (V)_mm512_abs_pd((__m512d)a); }
#else
static inline V v_maximum(V a, V b) { return a > b ? a : b; }
static inline V v_minimum(V a, V b) { return a < b ? a : b; }
EACH(ceil, std::ceil) EACH(floor, std::floor) EACH(trunc, std::trunc) EACH(rint, std::nearbyint) EACH(sqrt, std::sqrt)
static inline V v_absolute(V a) { return a < 0 ? -a : a; }
#endif
#if defined(WIDE)
/* log2: x = m 2^e with m in [0.75, 1.5), then the series of 2 atanh((m - 1) / (m + 1)); exact at powers of two. */
static inline __attribute__((always_inline)) V v_log2(V x) {
  V m = (V)_mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  V e = (V)_mm512_getexp_pd((__m512d)x) + (m < 1 ? all(1) : all(0)), t = (m - 1) / (m + 1), s = t * t, r = all(0.15186263588304877);
  r = r * s + 0.16972882833987804; r = r * s + 0.19235933878519512; r = r * s + 0.22195308321368667; r = r * s + 0.2623081892525388; r = r * s + 0.3205988979753252;
  r = r * s + 0.4121985831111324; r = r * s + 0.5770780163555853; r = r * s + 0.9617966939259756; r = r * s + 2.8853900817779268;
  return e + r * t; }
static inline __attribute__((always_inline)) V v_exp2(V y) {
  y = v_maximum(all(-1080), v_minimum(all(1080), y));
  V n = v_rint(y), z = (y - n) * 0.6931471805599453, r = all(2.08767569878681e-09);
  r = r * z + 2.505210838544172e-08; r = r * z + 2.755731922398589e-07; r = r * z + 2.7557319223985893e-06; r = r * z + 2.48015873015873e-05; r = r * z + 0.0001984126984126984; r = r * z + 0.001388888888888889;
  r = r * z + 0.008333333333333333; r = r * z + 0.041666666666666664; r = r * z + 0.16666666666666666; r = r * z + 0.5; r = r * z + 1.0; r = r * z + 1.0;
  return (V)_mm512_scalef_pd((__m512d)r, (__m512d)n); }
/* a^b = 2^(b log2 a): tables of 16 entries and short series on both sides; relative error below 1e-12 for |b log2 a| < 100. */
static double inverse_of[16], log_of[16], power_of[16];
static const bool tables_made = [] { for (int k = 0; k < 16; k++) { inverse_of[k] = 1 / (1 + (k + 0.5) / 16);
  log_of[k] = -std::log2(inverse_of[k]); power_of[k] = std::exp2(k / 16.0); } return true; }();
static inline V picked(const double* t, __m512i k) {
  return (V)_mm512_permutex2var_pd(_mm512_loadu_pd(t), k, _mm512_loadu_pd(t + 8)); }
static inline __attribute__((always_inline)) V v_power(V a, V b) {
  V m = (V)_mm512_getmant_pd((__m512d)a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_nan), e = (V)_mm512_getexp_pd((__m512d)a);
  __m512i k = _mm512_srli_epi64((__m512i)m, 48);
  V r = m * picked(inverse_of, k) - 1, s = r * r;
  V p = (1.4426950408889634 + (-0.7213475204444817) * r) + s * ((0.4808983469629878 + (-0.36067376022224085) * r) + s * (0.2885390081777927 + (-0.2404491734814939) * r + s * 0.2060992915555662));
  V y = b * (e + picked(log_of, k) + r * p) * 16;
  y = v_maximum(all(-17280), v_minimum(all(17280), y));
  V n = v_rint(y), z = y - n, q = z * z;
  V x = (1 + 0.04332169878499658 * z) + q * ((0.0009383847928089871 + 1.3550807779497455e-05 * z) + q * (1.467610032291943e-07 + 1.271587195055813e-09 * z));
  return (V)_mm512_scalef_pd((__m512d)(x * picked(power_of, _mm512_cvtpd_epi64((__m512d)n))), (__m512d)(n * 0.0625)); }
#else
EACH(exp2, std::exp2) EACH(log2, std::log2)
static inline V v_power(V a, V b) { V r; for (int i = 0; i < 8; i++) r[i] = std::pow(a[i], b[i]); return r; }
#endif
EACH(exp, std::exp) EACH(log, std::log)
EACH(expm1, std::expm1) EACH(log10, std::log10) EACH(log1p, std::log1p) EACH(tanh, std::tanh)
EACH(sin, std::sin) EACH(cos, std::cos)
static inline V v_square(V a) { return a * a; }
static inline V v_negative(V a) { return -a; }
static inline V v_sign(V a) { return (a > 0 ? all(1) : all(0)) - (a < 0 ? all(1) : all(0)); }
static inline V v_remainder(V a, V b) { return a - b * v_floor(a / b); }
static inline V v_lookup(V a, const double* t, long n) {
  V r; for (int i = 0; i < 8; i++) { long k = (long)a[i]; r[i] = t[k < 0 ? 0 : k >= n ? n - 1 : k]; } return r; }
static inline long place(double x, const double* t, long n, bool right) {
  long low = 0; while (n > 0) { long half = n / 2; bool up = right ? t[low + half] <= x : t[low + half] < x;
    low = up ? low + half + 1 : low; n = up ? n - half - 1 : half; } return low; }
static inline V v_search(V a, const double* t, long n, bool right) { V r; for (int i = 0; i < 8; i++) r[i] = place(a[i], t, n, right); return r; }
static inline V v_interpolate(V a, const double* x, const double* y, long n) {
  V r; for (int i = 0; i < 8; i++) { long k = place(a[i], x, n, false);
    r[i] = k <= 0 ? y[0] : k >= n ? y[n - 1] : y[k - 1] + (a[i] - x[k - 1]) * (y[k] - y[k - 1]) / (x[k] - x[k - 1]); } return r; }
