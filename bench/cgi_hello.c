/*
 * The program that cgi_server runs for each request: what sdk/samples/hello answers, in the same
 * bytes.
 */
#include <stdio.h>

int main(void)
{
	fputs("Content-Type: text/plain; charset=utf-8\n\nHello, world!\n", stdout);
	return 0;
}
