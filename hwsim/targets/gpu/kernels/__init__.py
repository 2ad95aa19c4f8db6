"""Cost functions of GPU kernels: pure, keyword-only, broadcasting over device points and kernels."""
