// Every test in one process: they share the browser and the servers.
import './pages.mjs';
import './query.mjs';
import './incident.mjs';
import './setup.mjs';
import './states.mjs';
import './text.mjs';
import './trace.mjs';
