// nat: a carrier's NAT. TCP, UDP and echoes of clients with shared addresses (RFC 6598) leave with
// a public one; answers, and errors about them, find their way back. Nobody outside can begin.
//
//     edgeos chain apply sdk/samples/nat/manifest.yaml
//     curl http://SERVER/        # from behind port lan; the server sees 192.0.2.1
//
// Both sides have one router, whose MAC address is said here; ARP for our own addresses is answered.
// Clients see this as a hop of their way (traceroute). What is between them and others of their own
// link, or to nobody in particular (multicast), is not for here.
// Not here: fragments (they have no ports), other protocols, IPv6, a limit of ports for each client.
// Each flow has a port of its own, which only its other end can answer to (RFC 4787 wants the same one
// for all of a socket's), and clients do not reach each other by the public address (its hairpins).

define($CLIENT_MAC 02:00:00:00:01:01, $CLIENT_ROUTER 02:00:00:00:01:02, $CLIENT_IP 100.64.0.1,
       $CLIENTS 100.64.0.0/10,
       $OUT_MAC 02:00:00:00:02:01, $OUT_ROUTER 02:00:00:00:02:02,
       $PUBLIC 192.0.2.1);

// An established connection lives as long as RFC 5382 asks for, UDP as RFC 4787 does. Both sides must
// have sent data: what has not come so far, as a flood of SYNs, goes after 5 minutes. In a full table
// makes room what would end soonest, and so a flood rather than a connection; but only where nothing
// is guaranteed to what has just begun.
rw :: IPRewriter(pattern $PUBLIC 1024-65535 - - 0 1, drop,
                 TCP_TIMEOUT 7440, TCP_DONE_TIMEOUT 240, UDP_TIMEOUT 300,
                 TCP_GUARANTEE 0, UDP_GUARANTEE 0, MAPPING_CAPACITY 50000);
ping :: ICMPPingRewriter(pattern $PUBLIC 1024-65535 - - 0 1, drop, TIMEOUT 60, GUARANTEE 0);
errors_in :: ICMPRewriter(rw ping);
errors_out :: ICMPRewriter(rw ping);

client_out :: EtherEncap(0x0800, $CLIENT_MAC, $CLIENT_ROUTER) -> to_client :: ToDevice(client);
out_out :: EtherEncap(0x0800, $OUT_MAC, $OUT_ROUTER) -> to_out :: ToDevice(out);

// From the clients.
FromDevice(client) -> HostEtherFilter($CLIENT_MAC)
  -> from_client :: Classifier(12/0806 20/0001, 12/0800, -);
from_client[0] -> ARPResponder($CLIENT_IP $CLIENT_MAC) -> to_client;
from_client[1] -> DropBroadcasts -> Strip(14) -> CheckIPHeader
  -> client_net :: IPClassifier(src net $CLIENTS and not (dst net $CLIENTS or dst host $PUBLIC or
                                dst net 127.0.0.0/8 or dst net 224.0.0.0/3), -)
  -> client_ttl :: DecIPTTL
  -> up :: IPClassifier(ip frag, tcp or udp, icmp type echo,
                        icmp type 3 or icmp type 11 or icmp type 12, -);
up[0] -> Discard;
up[1] -> [0]rw;
up[2] -> [0]ping;
up[3] -> errors_out;
up[4] -> Discard;
from_client[2] -> Discard;
client_net[1] -> Discard;
client_ttl[1] -> ICMPError($CLIENT_IP, timeexceeded) -> client_out;

// From outside.
FromDevice(out) -> HostEtherFilter($OUT_MAC)
  -> from_out :: Classifier(12/0806 20/0001, 12/0800, -);
from_out[0] -> ARPResponder($PUBLIC $OUT_MAC) -> to_out;
from_out[1] -> DropBroadcasts -> Strip(14) -> CheckIPHeader
  -> out_net :: IPClassifier(dst host $PUBLIC and not (src net $CLIENTS or src host $PUBLIC), -)
  -> out_ttl :: DecIPTTL
  -> down :: IPClassifier(ip frag, tcp or udp, icmp type echo-reply,
                          icmp type 3 or icmp type 11 or icmp type 12, -);
down[0] -> Discard;
down[1] -> [1]rw;
down[2] -> [1]ping;
down[3] -> errors_in;
down[4] -> Discard;
from_out[2] -> Discard;
out_net[1] -> Discard;
out_ttl[1] -> Discard;

rw[0] -> out_out;
ping[0] -> out_out;
// Also those of routers between here and the clients, whose addresses are nobody's outside.
errors_out -> StoreIPAddress($PUBLIC, src) -> out_out;
rw[1] -> client_out;
ping[1] -> client_out;
errors_in -> client_out;
