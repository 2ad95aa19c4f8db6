// Feeds vectors to the circuit and prints when each was taken and what came out when.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include "Vbench.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

int main(int argc, char** argv) {
    const long gap_from = argc > 1 ? atol(argv[1]) : -1;  // from this vector on, pause at random
    const long expected = argc > 2 ? atol(argv[2]) : 0;
    const long most = argc > 3 ? atol(argv[3]) : 1000000;
    Vbench top;
    uint32_t words[XWORDS] = {0};
    long sent = 0, got = 0;
    uint32_t random = 12345;
    auto load = [&]() {
        for (int i = XWORDS - 1; i >= 0; --i)
            if (scanf("%8x", &words[i]) != 1) return false;
        return true;
    };
    bool more = load();
    top.rst = 1;
    top.in_valid = 0;
    for (long cycle = 0; cycle < most && got < expected; ++cycle) {
        top.rst = cycle < 4;
        random = random * 1664525u + 1013904223u;
        bool offer = cycle >= 4 && more && !(gap_from >= 0 && sent >= gap_from && (random >> 30));
        top.in_valid = offer;
        for (int i = 0; i < XWORDS; ++i) top.x[i] = words[i];
        top.clk = 0;
        top.eval();
        const bool taken = offer && top.in_ready;
        if (top.out_valid && cycle >= 4) {
            printf("y %ld ", cycle);
            for (int i = YWORDS - 1; i >= 0; --i) printf("%08x", top.y[i]);
            printf("\n");
            ++got;
        }
        if (taken) printf("x %ld\n", cycle);
        top.clk = 1;
        top.eval();
        if (taken) {
            ++sent;
            more = load();
        }
    }
    top.final();
    return 0;
}
