/* The samples, configured as in their manifests; addresses are those of the seeds. */
#include "sample_chains.h"

#define RULES "allow tcp 80,443; allow udp 53; allow icmp; allow icmp6; out allow tcp 22; deny all"
#define BACKENDS                                                                                   \
	"10.0.0.101 02:00:00:00:00:01; 10.0.0.102 02:00:00:00:00:02; "                             \
	"10.0.0.103 02:00:00:00:00:03 weight 2"
#define PATTERNS "GET /etc/passwd; \\x90\\x90\\x90\\x90\\x90\\x90\\x90\\x90; X5O!P%@AP"
#define ZONE                                                                                       \
	"www 300 A 192.0.2.1; www AAAA 2001:db8::1; web CNAME www; @ TXT \"v=spf1 -all\"; "        \
	"sensor1 60 A 10.0.0.17"

const struct sample samples[] = {
	{"firewall", "firewall", CHAIN_FRAME,
	 .settings = {{"rules", RULES}, {"connections", "256"}}, .add_seeds = seeds_of_frames,
	 .check = check_firewall},
	{"ratelimit", "ratelimit", CHAIN_FRAME,
	 .settings = {{"up", "10Mbit"}, {"down", "50Mbit"}, {"burst", "64KiB"}},
	 .add_seeds = seeds_of_frames, .check = check_ratelimit},
	{"dpi", "dpi", CHAIN_FRAME, .settings = {{"patterns", PATTERNS}, {"verdict", "mark"}},
	 .next = "suspicious", .add_seeds = seeds_of_frames, .check = check_dpi},
	{"balancer", "balancer", CHAIN_FRAME,
	 .settings = {{"service", "192.0.2.10"}, {"ports", "80"}, {"backends", BACKENDS}},
	 .add_seeds = seeds_of_frames, .greet = greet_balancer, .check = check_balancer},
	{"nat", NULL, CHAIN_FRAME, .add_seeds = seeds_of_nat, .greet = greet_nat,
	 .check = check_nat},
	{"cache", "dns", CHAIN_FRAME, .add_seeds = seeds_of_dns_frames, .greet = greet_cache,
	 .check = check_cache},
	{"dns", "dns", CHAIN_DATAGRAM, .settings = {{"origin", "edge.example"}, {"zone", ZONE}},
	 .add_seeds = seeds_of_dns, .check = check_dns},
	{"coap", "coap", CHAIN_DATAGRAM, .add_seeds = seeds_of_coap, .greet = greet_coap,
	 .check = check_coap},
	{"inference", "inference", CHAIN_DATAGRAM, .add_seeds = seeds_of_inference,
	 .check = check_inference},
	{"memcached", "memcached", CHAIN_DATAGRAM, .settings = {{"memory", "4"}},
	 .add_seeds = seeds_of_memcached, .greet = greet_memcached, .check = check_memcached},
	{"memcached, streams", "memcached", CHAIN_STREAM, .settings = {{"memory", "4"}},
	 .add_seeds = seeds_of_memcached_streams, .greet = greet_memcached_streams,
	 .check = check_memcached_streams},
};
const unsigned samples_count = sizeof(samples) / sizeof(samples[0]);
