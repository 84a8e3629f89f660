out :: ToDevice(out);
FromDevice(in) -> e :: EtherMirror -> out;
