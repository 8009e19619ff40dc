/*
 * A library with the ABI of libnvidia-ml.so.1 and no GPU behind it, to be called through the real pynvml.
 *
 * It does what the scenario file says (NVML_STUB_SCENARIO), read again whenever it was replaced:
 *
 *     gpus 8                              how many there are
 *     set  <gpu|*> <key> <number>         a value; the last line wins
 *     fail <gpu|*> <function|*> <code>    this call returns this error
 *     hang <gpu|*> <function>             this call does not return until the line is gone
 *     xid  <gpu> <number>                 an event; lines that are there at registration are history
 *
 * Calls about the library itself (nvmlInitWithFlags, …) have no GPU: only rules that name the function reach them.
 * -DOLD leaves out what a driver of 2022 does not export.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

enum {
    OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, TIMEOUT = 10, UNKNOWN = 999,
};
enum { GPUS = 16, RULES = 256, WORD = 64, ANY = -1, LIBRARY = -2 };

struct gpu { int index; };
struct rule { char verb[8]; int gpu; char name[WORD]; s64 value; };
struct sample { u64 stamp; union { double d; u32 u; u64 ull; } value; };
struct field { u32 id, scope; s64 stamp, latency; u32 type, result; union { double d; u32 u; u64 ull; } value; };
struct event { void *device; u64 type, data; u32 gi, ci; };
struct process { u32 pid; u64 memory; u32 gi, ci; };
struct metric { u32 id, result; double value; const char *info[3]; };
struct metrics { u32 version, count; void *sample1, *sample2; struct metric metrics[]; };
struct pci { char legacy[16]; u32 domain, bus, device, ids, subsystem; char bus_id[32]; };

static struct gpu gpus[GPUS];
static struct rule rules[RULES];
static int rule_count, gpu_count, initialized;
static struct stat seen;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define EXPORT __attribute__((visibility("default")))

static u64 clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

/* Held: lock. */
static void read_scenario(void) {
    const char *path = getenv("NVML_STUB_SCENARIO");
    struct stat now;
    if (!path || stat(path, &now)) return;
    if (now.st_ino == seen.st_ino && !memcmp(&now.st_mtim, &seen.st_mtim, sizeof now.st_mtim)) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    seen = now;
    rule_count = 0;
    char line[256], gpu[WORD];
    while (fgets(line, sizeof line, file) && rule_count < RULES) {
        struct rule *rule = &rules[rule_count];
        memset(rule, 0, sizeof *rule);
        if (sscanf(line, "gpus %d", &gpu_count) == 1) continue;
        if (sscanf(line, "%7s %63s %63s %lld", rule->verb, gpu, rule->name, &rule->value) < 3) continue;
        rule->gpu = gpu[0] == '*' ? ANY : atoi(gpu);
        rule_count++;
    }
    fclose(file);
}

static struct rule *rule_of(const char *verb, int gpu, const char *name) {
    struct rule *found = NULL;
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        int all = !strcmp(rule->name, "*") && gpu != LIBRARY;
        if (!strcmp(rule->verb, verb) && (rule->gpu == ANY || rule->gpu == gpu) && (all || !strcmp(rule->name, name)))
            found = rule;
    }
    return found;
}

/* What every call does first: hang or fail, if the scenario says so. */
static int enter(int gpu, const char *function) {
    for (;;) {
        pthread_mutex_lock(&lock);
        read_scenario();
        int hangs = rule_of("hang", gpu, function) != NULL;
        struct rule *fails = rule_of("fail", gpu, function);
        int code = fails ? (int)fails->value : OK;
        if (code == OK && gpu != LIBRARY && !initialized) code = UNINITIALIZED;
        pthread_mutex_unlock(&lock);
        if (!hangs) return code;
        usleep(20000);
    }
}

static s64 value_of(int gpu, const char *key, s64 otherwise) {
    pthread_mutex_lock(&lock);
    struct rule *rule = rule_of("set", gpu, key);
    s64 value = rule ? rule->value : otherwise;
    pthread_mutex_unlock(&lock);
    return value;
}

#define ENTER(gpu) do { int code_ = enter(gpu, __func__); if (code_) return code_; } while (0)
#define GPU(handle) (((struct gpu *)(handle))->index)

/* ── the library ─────────────────────────────────────────────────────────────────────────────── */

EXPORT int nvmlInitWithFlags(u32 flags) {
    (void)flags;
    ENTER(LIBRARY);
    for (int i = 0; i < GPUS; i++) gpus[i].index = i;
    initialized++;
    return OK;
}

EXPORT int nvmlShutdown(void) {
    ENTER(LIBRARY);
    if (!initialized) return UNINITIALIZED;
    initialized--;
    const char *path = getenv("NVML_STUB_CLOSED");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) { fprintf(file, "%d\n", (int)getpid()); fclose(file); }
    return OK;
}

EXPORT const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

EXPORT int nvmlDeviceGetCount_v2(u32 *count) {
    ENTER(LIBRARY);
    if (!initialized) return UNINITIALIZED;
    *count = (u32)gpu_count;
    return OK;
}

static void uuid_of(int gpu, char *text) { sprintf(text, "GPU-0000000%x-0000-4000-8000-00000000000%x", gpu, gpu); }

EXPORT int nvmlDeviceGetHandleByIndex_v2(u32 index, void **handle) {
    if ((int)index >= gpu_count) return INVALID_ARGUMENT;
    ENTER((int)index);
    *handle = &gpus[index];
    return OK;
}

EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    char text[WORD];
    ENTER(LIBRARY);
    for (int i = 0; i < gpu_count; i++) {
        uuid_of(i, text);
        if (!strcmp(text, uuid)) { *handle = &gpus[i]; return enter(i, __func__); }
    }
    return NOT_FOUND;
}

/* ── who it is ───────────────────────────────────────────────────────────────────────────────── */

EXPORT int nvmlDeviceGetUUID(void *gpu, char *text, u32 length) {
    (void)length;
    ENTER(GPU(gpu));
    uuid_of(GPU(gpu), text);
    return OK;
}

EXPORT int nvmlDeviceGetName(void *gpu, char *text, u32 length) {
    ENTER(GPU(gpu));
    snprintf(text, length, "NVIDIA H100 80GB HBM3");
    return OK;
}

EXPORT int nvmlDeviceGetIndex(void *gpu, u32 *index) { ENTER(GPU(gpu)); *index = (u32)GPU(gpu); return OK; }

EXPORT int nvmlDeviceGetPciInfo_v3(void *gpu, struct pci *pci) {
    ENTER(GPU(gpu));
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", 0x18 + GPU(gpu));
    return OK;
}

/* ── utilization ─────────────────────────────────────────────────────────────────────────────── */

EXPORT int nvmlDeviceGetSamples(void *gpu, u32 type, u64 since, u32 *kind, u32 *count, struct sample *samples) {
    ENTER(GPU(gpu));
    (void)type;
    if (value_of(GPU(gpu), "mig", 0)) return NOT_SUPPORTED;
    u64 period = (u64)value_of(GPU(gpu), "period_us", 166667), phase = (u64)value_of(GPU(gpu), "phase_us", 0);
    u64 now = (u64)((s64)(clock_ns(CLOCK_REALTIME) / 1000) + value_of(GPU(gpu), "stamp_shift_us", 0));
    u64 newest = now - (now - phase) % period, oldest = now - 10000000ull;
    s64 busy = value_of(GPU(gpu), "util", 95);
    u32 number = 0;
    for (u64 stamp = newest; stamp > oldest && stamp > since; stamp -= period) number++;
    if (value_of(GPU(gpu), "no_samples", 0) || !number) return NOT_FOUND;
    if (samples && !*count) return INVALID_ARGUMENT;
    if (samples) {
        if (*count < number) number = *count;
        for (u32 i = 0; i < number; i++) {
            samples[i].stamp = newest - (u64)(number - 1 - i) * period;
            samples[i].value.ull = 0;
            samples[i].value.u = (u32)busy;
        }
    }
    *kind = 1;
    *count = number;
    return OK;
}

EXPORT int nvmlDeviceGetUtilizationRates(void *gpu, u32 *rates) {
    ENTER(GPU(gpu));
    if (value_of(GPU(gpu), "mig", 0)) return NOT_SUPPORTED;
    rates[0] = (u32)value_of(GPU(gpu), "util", 95);
    rates[1] = 40;
    return OK;
}

/* ── single numbers ──────────────────────────────────────────────────────────────────────────── */

#define NUMBER(function, key, otherwise)                                                                              \
    EXPORT int function(void *gpu, u32 *value) {                                                                      \
        ENTER(GPU(gpu));                                                                                              \
        *value = (u32)value_of(GPU(gpu), key, otherwise);                                                             \
        return OK;                                                                                                    \
    }
NUMBER(nvmlDeviceGetPowerUsage, "power_mw", 420000)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, "limit_mw", 700000)
NUMBER(nvmlDeviceGetPcieReplayCounter, "pcie_replays", 0)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation", 5)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width", 16)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_generation_max", 5)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max", 16)

EXPORT int nvmlDeviceGetClockInfo(void *gpu, u32 type, u32 *value) {
    (void)type;
    ENTER(GPU(gpu));
    *value = (u32)value_of(GPU(gpu), "clock", 1980);
    return OK;
}

EXPORT int nvmlDeviceGetMaxClockInfo(void *gpu, u32 type, u32 *value) {
    (void)type;
    ENTER(GPU(gpu));
    *value = (u32)value_of(GPU(gpu), "clock_max", 1980);
    return OK;
}

EXPORT int nvmlDeviceGetTemperature(void *gpu, u32 sensor, u32 *value) {
    (void)sensor;
    ENTER(GPU(gpu));
    *value = (u32)value_of(GPU(gpu), "temperature", 61);
    return OK;
}

static int reasons_of(void *gpu, u64 *reasons) {
    *reasons = (u64)value_of(GPU(gpu), "reasons", 0);
    return OK;
}

EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *gpu, u64 *reasons) {
    ENTER(GPU(gpu));
    return reasons_of(gpu, reasons);
}

#ifndef OLD
EXPORT int nvmlDeviceGetTemperatureV(void *gpu, u32 *request) {
    ENTER(GPU(gpu));
    if (request[0] != 0x100000C) return 25;
    request[2] = (u32)value_of(GPU(gpu), "temperature", 61);
    return OK;
}

EXPORT int nvmlDeviceGetCurrentClocksEventReasons(void *gpu, u64 *reasons) {
    ENTER(GPU(gpu));
    return reasons_of(gpu, reasons);
}
#endif

EXPORT int nvmlDeviceGetMemoryInfo(void *gpu, u64 *memory) {
    ENTER(GPU(gpu));
    memory[0] = (u64)value_of(GPU(gpu), "memory_mib", 81559) << 20;
    memory[2] = (u64)value_of(GPU(gpu), "memory_used_mib", 72000) << 20;
    memory[1] = memory[0] - memory[2];
    return OK;
}

EXPORT int nvmlDeviceGetMigMode(void *gpu, u32 *current, u32 *pending) {
    ENTER(GPU(gpu));
    *current = *pending = (u32)value_of(GPU(gpu), "mig", 0);
    return OK;
}

EXPORT int nvmlDeviceGetTotalEccErrors(void *gpu, u32 uncorrected, u32 aggregate, u64 *count) {
    (void)aggregate;
    ENTER(GPU(gpu));
    *count = (u64)value_of(GPU(gpu), uncorrected ? "ecc_uncorrected" : "ecc_corrected", 0);
    return OK;
}

EXPORT int nvmlDeviceGetRemappedRows(void *gpu, u32 *corrected, u32 *uncorrected, u32 *pending, u32 *failed) {
    ENTER(GPU(gpu));
    *corrected = *uncorrected = 0;
    *pending = (u32)value_of(GPU(gpu), "remap_pending", 0);
    *failed = (u32)value_of(GPU(gpu), "remap_failed", 0);
    return OK;
}

/* ── counters ────────────────────────────────────────────────────────────────────────────────── */

/* A counter of throttled time: so many thousandths of the time since boot, and so many milliseconds on top. */
static u64 throttled_ns(int gpu, u32 field) {
    char share[WORD], ms[WORD];
    snprintf(share, sizeof share, "permille_%u", field);
    snprintf(ms, sizeof ms, "ms_%u", field);
    return clock_ns(CLOCK_BOOTTIME) / 1000 * (u64)value_of(gpu, share, 0) + (u64)value_of(gpu, ms, 0) * 1000000ull;
}

EXPORT int nvmlDeviceGetViolationStatus(void *gpu, u32 policy, u64 *violation) {
    ENTER(GPU(gpu));
    violation[0] = clock_ns(CLOCK_REALTIME) / 1000;
    violation[1] = throttled_ns(GPU(gpu), policy + 74);
    return OK;
}

static void answer(int gpu, struct field *field) {
    int blackwell = (int)value_of(gpu, "blackwell", 0), old = (int)value_of(gpu, "old_counters", 0);
    field->result = OK;
    field->type = 3;
    field->value.ull = 0;
    switch (field->id) {
    case 74: case 75: case 76: case 77: case 79:
        field->value.ull = throttled_ns(gpu, field->id);
        return;
    case 269: case 270: case 271:
        if (old) field->result = NOT_SUPPORTED;
        field->value.ull = throttled_ns(gpu, field->id);
        return;
    case 91:
        field->type = 1;
        field->value.u = (u32)value_of(gpu, "links", 18);
        return;
    case 161: case 162: case 163:
        if (blackwell) field->result = NOT_SUPPORTED;
        field->value.ull = field->id == 161 && field->scope == 0 ? (u64)value_of(gpu, "link_errors", 0) : 0;
        return;
    case 208: case 215:
        if (!blackwell) field->result = NOT_SUPPORTED;
        field->value.ull = field->id == 215 && field->scope == 0 ? (u64)value_of(gpu, "link_errors", 0) : 0;
        return;
    case 165:
        field->type = 1;
        field->value.u = field->scope >= (u32)value_of(gpu, "links_down", 0);
        return;
    case 230:
        field->type = 1;
        field->value.u = (u32)value_of(gpu, "recovery", 0);
        return;
    default:
        field->result = NOT_SUPPORTED;
    }
}

EXPORT int nvmlDeviceGetFieldValues(void *gpu, int count, struct field *fields) {
    ENTER(GPU(gpu));
    for (int i = 0; i < count; i++) answer(GPU(gpu), &fields[i]);
    return OK;
}

/* ── GPM ─────────────────────────────────────────────────────────────────────────────────────── */

EXPORT int nvmlGpmQueryDeviceSupport(void *gpu, u32 *support) {
    ENTER(GPU(gpu));
    support[1] = (u32)value_of(GPU(gpu), "gpm", 1);
    return OK;
}

EXPORT int nvmlGpmSampleAlloc(void **sample) { *sample = calloc(1, sizeof(int)); return OK; }
EXPORT int nvmlGpmSampleFree(void *sample) { free(sample); return OK; }
EXPORT int nvmlGpmSampleGet(void *gpu, int *sample) { ENTER(GPU(gpu)); *sample = GPU(gpu) + 1; return OK; }

EXPORT int nvmlGpmMetricsGet(struct metrics *request) {
    int gpu = *(int *)request->sample2 - 1;
    if (request->version != 1 || *(int *)request->sample1 != gpu + 1) return INVALID_ARGUMENT;
    ENTER(gpu);
    for (u32 i = 0; i < request->count; i++) {
        struct metric *metric = &request->metrics[i];
        metric->result = OK;
        if (metric->id == 2) metric->value = (double)value_of(gpu, "sm_percent", 62);
        else if (metric->id == 10) metric->value = (double)value_of(gpu, "dram_percent", 48);
        else metric->result = NOT_SUPPORTED;
    }
    return OK;
}

/* ── processes ───────────────────────────────────────────────────────────────────────────────── */

EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void *gpu, u32 *count, struct process *processes) {
    ENTER(GPU(gpu));
    u32 pid = (u32)value_of(GPU(gpu), "pid", 0), room = *count;
    *count = pid != 0;
    if (!pid) return OK;
    if (!processes || !room) return INSUFFICIENT_SIZE;
    memset(processes, 0, sizeof *processes);
    processes->pid = pid;
    return OK;
}

/* ── events ──────────────────────────────────────────────────────────────────────────────────── */

static int told;

static int events_in_scenario(int wanted, struct rule *found) {
    int count = 0;
    for (int i = 0; i < rule_count; i++)
        if (!strcmp(rules[i].verb, "xid") && count++ == wanted) *found = rules[i];
    return count;
}

EXPORT int nvmlEventSetCreate(void **set) {
    ENTER(LIBRARY);
    struct rule nothing;
    pthread_mutex_lock(&lock);
    told = events_in_scenario(-1, &nothing);
    pthread_mutex_unlock(&lock);
    *set = &told;
    return OK;
}

EXPORT int nvmlEventSetFree(void *set) { (void)set; return OK; }

EXPORT int nvmlDeviceGetSupportedEventTypes(void *gpu, u64 *types) { ENTER(GPU(gpu)); *types = 0xF; return OK; }

EXPORT int nvmlDeviceRegisterEvents(void *gpu, u64 types, void *set) {
    (void)types, (void)set;
    ENTER(GPU(gpu));
    return OK;
}

EXPORT int nvmlEventSetWait_v2(void *set, struct event *event, u32 milliseconds) {
    (void)set;
    u64 until = clock_ns(CLOCK_MONOTONIC) + (u64)milliseconds * 1000000ull;
    do {
        ENTER(LIBRARY);
        struct rule found = {0};
        pthread_mutex_lock(&lock);
        int waiting = events_in_scenario(told, &found) > told;
        told += waiting;
        pthread_mutex_unlock(&lock);
        if (waiting) {
            event->device = &gpus[found.gpu];
            event->type = 8;
            event->data = (u64)atoll(found.name);
            event->gi = event->ci = 0xFFFFFFFF;
            return OK;
        }
        usleep(100000);
    } while (clock_ns(CLOCK_MONOTONIC) < until);
    return TIMEOUT;
}
