/*
 * Linux's CoDel, from the kernel's own headers, under a clock that its caller sets.
 *
 * Reads events, a line each, and tells what became of the packets; they are numbered from 0 in the order in which they come.
 *
 *   = TARGET INTERVAL MTU ECN THRESHOLD   begin anew: nanoseconds, octets, 0 or 1; -1 is no threshold
 *   + NOW OCTETS ECT                      a packet comes
 *   - NOW                                 one is asked for: "d N" for each that is dropped, then "s N" (sent), "m N" (sent with
 *                                         a mark) or "n" (none), then the count that sets the pace
 *
 * The few types and functions of the kernel that its headers need are below, written for this; the headers themselves are found
 * where the compiler is told to look.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;

#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_USEC 1000L
#define unlikely(condition) (condition)
#define typecheck(type, value) 1
#define do_div(number, by) ((number) /= (by))

struct sk_buff {
	struct sk_buff *next;
	u64 number;
	u32 length, came;
	bool ect, ce;
};

static u64 clock_shows;

static u64 ktime_get_ns(void)
{
	return clock_shows;
}

static u32 reciprocal_scale(u32 value, u32 ends)
{
	return (u64)value * ends >> 32;
}

static bool INET_ECN_set_ce(struct sk_buff *packet)
{
	if (packet->ect)
		packet->ce = true;
	return packet->ect;
}

static int skb_get_dsfield(struct sk_buff *packet)
{
	(void)packet;
	return -1;
}

#include <net/codel.h>
#include <net/codel_impl.h>

struct line {
	struct sk_buff *head, *tail;
	u32 octets;
};

static u32 length_of(const struct sk_buff *packet)
{
	return packet->length;
}

static codel_time_t time_of(const struct sk_buff *packet)
{
	return packet->came;
}

static void drop(struct sk_buff *packet, void *context)
{
	(void)context;
	printf("d %llu ", (unsigned long long)packet->number);
	free(packet);
}

static struct sk_buff *take(struct codel_vars *vars, void *context)
{
	struct line *line = context;
	struct sk_buff *packet = line->head;

	(void)vars;
	if (packet) {
		line->head = packet->next;
		if (!line->head)
			line->tail = NULL;
		line->octets -= packet->length;
	}
	return packet;
}

int main(void)
{
	struct codel_params params = { 0 };
	struct codel_vars vars;
	struct codel_stats stats;
	struct line line = { 0 };
	u64 number = 0;
	char kind;

	while (scanf(" %c", &kind) == 1) {
		if (kind == '=') {
			unsigned long long target, interval;
			long long threshold;
			unsigned mtu, ecn;

			if (scanf("%llu %llu %u %u %lld", &target, &interval, &mtu, &ecn, &threshold) != 5)
				return 2;
			while (line.head)
				free(take(&vars, &line));
			codel_params_init(&params);
			codel_vars_init(&vars);
			memset(&stats, 0, sizeof(stats));
			codel_stats_init(&stats);
			params.target = target >> CODEL_SHIFT;
			params.interval = interval >> CODEL_SHIFT;
			params.mtu = mtu;
			params.ecn = ecn;
			if (threshold >= 0)
				params.ce_threshold = (u64)threshold >> CODEL_SHIFT;
			number = 0;
		} else if (kind == '+') {
			struct sk_buff *packet = calloc(1, sizeof(*packet));
			unsigned long long now;
			unsigned length, ect;

			if (!packet || scanf("%llu %u %u", &now, &length, &ect) != 3)
				return 2;
			clock_shows = now;
			packet->number = number++;
			packet->length = length;
			packet->ect = ect;
			packet->came = codel_get_time();
			if (line.tail)
				line.tail->next = packet;
			else
				line.head = packet;
			line.tail = packet;
			line.octets += length;
		} else if (kind == '-') {
			struct sk_buff *packet;
			unsigned long long now;

			if (scanf("%llu", &now) != 1)
				return 2;
			clock_shows = now;
			packet = codel_dequeue(&line, &line.octets, &params, &vars, &stats, length_of, time_of, drop,
					       take);
			if (packet)
				printf("%c %llu", packet->ce ? 'm' : 's', (unsigned long long)packet->number);
			else
				printf("n");
			printf(" %u\n", vars.count);
			free(packet);
		} else {
			return 2;
		}
	}
	return 0;
}
