ScheduleInfo(a 1.5e1, b/c .25, d -2)
AlignmentInfo(q 4 2, nobody)
FromDevice(0) -> Align(8, 3) -> q :: FullNoteQueue(2) -> s :: Suppressor -> TimedUnqueue(INTERVAL 1ms, BURST 2) -> IPPrint(x, CONTENTS ASCII, NBYTES 3) -> w :: StrideSwitch(1, 2)
w[0] -> EtherVLANEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2, ANNO, VLAN_PCP 3) -> ToDevice(0)
w[1] -> SetRandIPAddress(10.0.0.0/8, 4) -> Pad(ZERO false) -> ToHostSniffers(eth0)
Script(write s.active0 no, write s.reset, write w.tickets 1 0)
FromDevice(2) -> IPInputCombo(1, 10.0.0.1, INTERFACES 10.0.0.0/24) -> o :: IPOutputCombo(1, 10.0.0.1, 1500) => Discard, Discard, Discard, Discard, Discard
