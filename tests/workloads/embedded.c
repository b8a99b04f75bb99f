/* A program with an interpreter of its own in it, which it exports nothing of: spins in a Python function. */
#include <Python.h>

static const char SCRIPT[] =
    "import sys\n"
    "def spins():\n"
    "    for _ in range(1000):\n"
    "        pass\n"
    "def serves():\n"
    "    print('ready', flush=True)\n"
    "    while True:\n"
    "        spins()\n"
    "serves()\n";

int main(void)
{
    Py_Initialize();
    return PyRun_SimpleString(SCRIPT);
}
