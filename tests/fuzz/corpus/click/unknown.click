FromDevice(0) -> Cuonter -> Discard;
x :: Queue(-1, FOO 2)
y :: Counter
FromDevice(1) -> y; y -> z; 
