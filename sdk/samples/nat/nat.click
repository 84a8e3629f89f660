// nat: a carrier's NAT. TCP, UDP and echoes of clients with shared addresses (RFC 6598) leave with
// a public one; answers, and errors about them, find their way back. Nobody outside can begin.
//
//     edgeos chain apply sdk/samples/nat/manifest.yaml
//     curl http://SERVER/        # from behind port lan; the server sees 192.0.2.1
//
// Both sides have one router, whose MAC address is said here; ARP for our own addresses is answered.
// Not here: fragments (they have no ports), other protocols, IPv6, a limit of ports for each client.
// Each flow has a port of its own, which only its other end can answer to (RFC 4787 wants the same one
// for all of a socket's), and clients do not reach each other by the public address (its hairpins).

define($CLIENT_MAC 02:00:00:00:01:01, $CLIENT_ROUTER 02:00:00:00:01:02, $CLIENT_IP 100.64.0.1,
       $OUT_MAC 02:00:00:00:02:01, $OUT_ROUTER 02:00:00:00:02:02,
       $PUBLIC 192.0.2.1);

// An established connection lives as long as RFC 5382 asks for, UDP as RFC 4787 does.
rw :: IPRewriter(pattern $PUBLIC 1024-65535 - - 0 1, drop,
                 TCP_TIMEOUT 7440, TCP_DONE_TIMEOUT 240, UDP_TIMEOUT 300, MAPPING_CAPACITY 50000);
ping :: ICMPPingRewriter(pattern $PUBLIC 1024-65535 - - 0 1, drop, TIMEOUT 60);
errors_in :: ICMPRewriter(rw ping);
errors_out :: ICMPRewriter(rw ping);

client_out :: EtherEncap(0x0800, $CLIENT_MAC, $CLIENT_ROUTER) -> to_client :: ToDevice(client);
out_out :: EtherEncap(0x0800, $OUT_MAC, $OUT_ROUTER) -> to_out :: ToDevice(out);

// From the clients.
FromDevice(client) -> from_client :: Classifier(12/0806 20/0001, 12/0800, -);
from_client[0] -> ARPResponder($CLIENT_IP $CLIENT_MAC) -> to_client;
from_client[1] -> Strip(14) -> CheckIPHeader -> client_ttl :: DecIPTTL
  -> up :: IPClassifier(ip frag, tcp or udp, icmp type echo, icmp type 3 or icmp type 11, -);
up[0] -> Discard;
up[1] -> [0]rw;
up[2] -> [0]ping;
up[3] -> errors_out;
up[4] -> Discard;
from_client[2] -> Discard;
client_ttl[1] -> Discard;

// From outside.
FromDevice(out) -> from_out :: Classifier(12/0806 20/0001, 12/0800, -);
from_out[0] -> ARPResponder($PUBLIC $OUT_MAC) -> to_out;
from_out[1] -> Strip(14) -> CheckIPHeader -> out_ttl :: DecIPTTL
  -> down :: IPClassifier(ip frag, tcp or udp, icmp type echo-reply, icmp type 3 or icmp type 11, -);
down[0] -> Discard;
down[1] -> [1]rw;
down[2] -> [1]ping;
down[3] -> errors_in;
down[4] -> Discard;
from_out[2] -> Discard;
out_ttl[1] -> Discard;

rw[0] -> out_out;
ping[0] -> out_out;
errors_out -> out_out;
rw[1] -> client_out;
ping[1] -> client_out;
errors_in -> client_out;
