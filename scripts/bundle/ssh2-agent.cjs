'use strict';

// Stands in for ssh2's lib/agent.js: keys are given, and no agent is asked, which would bring in what starts processes.
module.exports = { isAgent: () => false };
