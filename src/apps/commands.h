// The main function of each subcommand. argv[0] is the subcommand's name. Each returns the exit
// status.
#pragma once

namespace wh::apps {

constexpr int kYes = 0;    // The job ran.
constexpr int kNo = 1;     // The job ran and the answer is no.
constexpr int kUsage = 2;  // Asked wrongly, or the machine cannot.

int lab_main(int argc, char** argv);
int dev_main(int argc, char** argv);
int dev_program_main(int argc, char** argv);
int echoctl_main(int argc, char** argv);
int pace_main(int argc, char** argv);
int ip_main(int argc, char** argv);
int proxy_main(int argc, char** argv);
int router_main(int argc, char** argv);
int sockstat_main(int argc, char** argv);
int sysctl_main(int argc, char** argv);
int tc_main(int argc, char** argv);
int tcpdrop_main(int argc, char** argv);
int vppctl_main(int argc, char** argv);
int sweep_main(int argc, char** argv);
int advise_main(int argc, char** argv);
int trace_main(int argc, char** argv);

}  // namespace wh::apps
